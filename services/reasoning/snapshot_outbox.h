// What one consumer still has to be sent, piece by piece: newest wins between snapshots, never
// inside one.
//
// Holds at most two snapshots: the one on the wire, which is always finished or abandoned as a
// failed refresh, and the newest complete one after it; with reuse also the last one sent. So a
// stalled consumer costs two or three buffers and slows nobody.
//
// Reuse: what a tensor shares at its beginning with the last snapshot sent is not sent again, once
// the consumer says that it holds that one.
//
// In the shared-memory lane chunks are only described: the consumer is lent the snapshot with its
// header and reads the bytes where they lie. Without room for another loan the header waits.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "common/context/context_snapshot.h"
#include "common/context/snapshot_manifest.h"
#include "common/shared_memory/region_loans.h"

namespace automot::reasoning {

struct OutboxHeader {
  context::SnapshotPtr snapshot;
  bool lent = false;  // say where it lies
};
struct OutboxChunk {
  context::SnapshotPtr snapshot;
  context::ChunkSpec chunk;    // hash filled
  uint64_t reuse_version = 0;  // above 0: the consumer has these bytes of that version
};
struct OutboxSharedLayers {
  std::vector<context::ChunkSpec> chunks;  // hashes filled
};
struct OutboxTrailer {
  context::SnapshotPtr snapshot;
  context::SnapshotTrailer trailer;
  uint32_t chunk_count = 0;
};
struct OutboxFailure {
  SessionTimeUs capture_time_us = 0;
  absl::Status why;
};
using OutboxItem =
    std::variant<OutboxHeader, OutboxChunk, OutboxSharedLayers, OutboxTrailer, OutboxFailure>;

// Not thread-safe.
class SnapshotOutbox {
 public:
  struct Options {
    std::string session_name;  // stands for the session in the digest
    bool layers = true;        // false: header and trailer only, the digest then covers no chunk
    std::size_t chunk_bytes = context::kDefaultChunkBytes;
    // Shared-memory lane: lends a snapshot to the consumer, once. Empty: payload goes as chunks.
    std::function<shared_memory::LendOutcome(const context::SnapshotPtr&)> lend;
    bool reuse = false;  // not with `lend`
  };

  explicit SnapshotOutbox(Options options) : options_(std::move(options)) {}

  // As SnapshotSink's.
  void OnLayers(const context::SnapshotPtr& building, int layers_ready);
  void OnSnapshot(const context::SnapshotPtr& snapshot);
  void OnRefreshFailed(SessionTimeUs capture_time_us, const absl::Status& why);

  // The next piece to send, where there is one now.
  std::optional<OutboxItem> Next();

  // True once a snapshot could not be lent because nobody is left to lend it to.
  bool borrower_gone() const { return borrower_gone_; }
  // The newest version that the consumer says it holds; 0: none.
  void SetHeld(uint64_t version) { held_version_ = version; }

  // Drops everything that waits.
  void Clear();

  // False while a complete snapshot waits behind the one on the wire.
  bool HasRoom() const { return !waiting_; }
  uint64_t replaced() const { return replaced_; }  // complete snapshots never begun to be sent
  uint64_t reused_bytes() const { return reused_bytes_; }  // not sent again so far

 private:
  struct Transfer {
    context::SnapshotPtr snapshot;
    context::ManifestHasher hasher;
    context::ChunkSpec next;  // place of the next chunk; layer = number of layers: none
    uint32_t chunks_sent = 0;
    context::SnapshotPtr base;  // that chunks may refer to; null: none
    int layers_ready = 0;
    bool header_sent = false;
    bool complete = false;
  };

  Transfer Begin(const context::SnapshotPtr& snapshot) const;
  std::optional<OutboxItem> NextOf(Transfer& transfer);
  std::optional<OutboxItem> BeginOf(Transfer& transfer);
  std::optional<OutboxItem> LayersOf(Transfer& transfer);
  OutboxChunk NextChunk(Transfer& transfer);
  // Bytes that the consumer has at the beginning of the tensor where `transfer` stands; 0: none.
  std::size_t Reusable(const Transfer& transfer) const;
  // The last snapshot sent, where the consumer holds it and `snapshot` can refer to it.
  context::SnapshotPtr BaseFor(const context::ContextSnapshot& snapshot) const;
  static context::SnapshotTrailer TrailerOf(const Transfer& transfer);

  static constexpr std::size_t kMaxFailures = 4;
  // Described at once in shared memory: while the consumer verifies these, the next are hashed.
  static constexpr std::size_t kSharedBatchBytes = std::size_t{8} << 20;

  const Options options_;
  std::optional<Transfer> current_;
  context::SnapshotPtr waiting_;
  context::SnapshotPtr last_sent_;  // with reuse only
  uint64_t held_version_ = 0;
  uint64_t reused_bytes_ = 0;
  std::deque<OutboxFailure> failures_;
  uint64_t replaced_ = 0;
  bool borrower_gone_ = false;
};

}  // namespace automot::reasoning
