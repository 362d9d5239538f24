// What one consumer still has to be sent, piece by piece: newest wins between snapshots, never
// inside one.
//
// Holds at most two snapshots: the one on the wire, which is always finished or abandoned as a
// failed refresh, and the newest complete one after it. So a stalled consumer costs two buffers and
// slows nobody.
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
  context::ChunkSpec chunk;  // hash filled
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

  // Drops everything that waits.
  void Clear();

  // False while a complete snapshot waits behind the one on the wire.
  bool HasRoom() const { return !waiting_; }
  uint64_t replaced() const { return replaced_; }  // complete snapshots never begun to be sent

 private:
  struct Transfer {
    context::SnapshotPtr snapshot;
    std::vector<context::ChunkSpec> chunks;  // planned
    context::ManifestHasher hasher;
    std::size_t next_chunk = 0;
    int layers_ready = 0;
    bool header_sent = false;
    bool complete = false;
  };

  Transfer Begin(const context::SnapshotPtr& snapshot) const;
  std::optional<OutboxItem> NextOf(Transfer& transfer);
  std::optional<OutboxItem> BeginOf(Transfer& transfer);
  std::optional<OutboxItem> LayersOf(Transfer& transfer);
  static void Hash(Transfer& transfer, context::ChunkSpec& chunk);
  static context::SnapshotTrailer TrailerOf(const Transfer& transfer);

  static constexpr std::size_t kMaxFailures = 4;
  // Described at once in shared memory: while the consumer verifies these, the next are hashed.
  static constexpr std::size_t kSharedBatchBytes = std::size_t{8} << 20;

  const Options options_;
  std::optional<Transfer> current_;
  context::SnapshotPtr waiting_;
  std::deque<OutboxFailure> failures_;
  uint64_t replaced_ = 0;
  bool borrower_gone_ = false;
};

}  // namespace automot::reasoning
