// Puts a transferred snapshot together: header -> chunks -> trailer, into a pooled buffer.
//
// Chunks must arrive in canonical order (layer, K before V, offset) without gap or repetition,
// which is what a lane's ordered stream delivers; anything else is a refusal, never a guess. Every
// chunk is copied once, its hash taken over the copy; the digest over header, chunk list and
// decision is compared before the snapshot exists for anybody else. After a refusal the assembler
// waits for the next header: the snapshot in progress is gone and its buffer is back in the pool.
//
// Chunks that lie in a mapped buffer already are verified in place, without a copy; or copied into
// a pooled buffer where the mapping cannot be kept.
//
// Not thread-safe: one per stream, on the link thread. The pool must outlive it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/context/context_snapshot.h"
#include "common/context/header_check.h"
#include "common/context/kv_buffer_pool.h"
#include "common/context/snapshot_manifest.h"

namespace automot::context {

// Why a snapshot was refused; a metrics label.
enum class AssemblyRefusal : uint8_t {
  kNone = 0,
  kHeader,          // see HeaderVerdict; its own code
  kNoBuffer,        // the pool's budget: RESOURCE_EXHAUSTED
  kReplaced,        // a new header came before the trailer: DATA_LOSS of the old one, counted only
  kUnexpected,      // chunk or trailer without a header: FAILED_PRECONDITION
  kChunkBounds,     // outside its tensor, too small, too large, or fewer bytes than announced
  kDuplicateChunk,  // before the place reached: DATA_LOSS
  kMissingChunk,    // beyond the place reached: DATA_LOSS
  kChunkHash,       // DATA_LOSS
  kIncomplete,      // trailer before the last chunk: DATA_LOSS
  kDecision,        // malformed decision: INVALID_ARGUMENT
  kDigest,          // DATA_LOSS
  kReuseUnknown,    // refers to a snapshot that is not held: FAILED_PRECONDITION
  kReusePlace,      // refers to bytes that the held snapshot has not, or not at the beginning
};

class SnapshotAssembler {
 public:
  explicit SnapshotAssembler(KvBufferPool* pool);
  ~SnapshotAssembler();
  SnapshotAssembler(const SnapshotAssembler&) = delete;
  SnapshotAssembler& operator=(const SnapshotAssembler&) = delete;

  // Starts a snapshot; one in progress is dropped (kReplaced is then last_refusal() of an OK call).
  absl::Status Begin(const SnapshotHeader& header, const SnapshotExpectation& expected);
  // Copies and verifies one chunk, given as the pieces in which the transport holds it.
  absl::Status Add(const ChunkSpec& chunk, std::span<const std::span<const std::byte>> pieces);
  absl::Status Add(const ChunkSpec& chunk, std::span<const std::byte> bytes) {
    return Add(chunk, std::span<const std::span<const std::byte>>(&bytes, 1));
  }

  // Copies and verifies the chunk's bytes out of `base`, which the consumer holds; they lie at the
  // same place there, at the beginning of their tensor. `version`: the one that the producer names.
  // `base` may be null: nothing is held.
  absl::Status AddReused(const ChunkSpec& chunk, uint64_t version, const ContextSnapshot* base);

  // As Begin, for keys and values that lie in `mapped`. `keep`: the snapshot keeps that buffer and
  // nothing is written to it; else the bytes are copied. INVALID_ARGUMENT: another layout.
  absl::Status BeginMapped(const SnapshotHeader& header, const SnapshotExpectation& expected,
                           KvBuffer mapped, bool keep);
  // Verifies one chunk of the mapped buffer.
  absl::Status AddMapped(const ChunkSpec& chunk);

  // The complete, verified, immutable snapshot.
  absl::StatusOr<SnapshotPtr> Finish(const SnapshotTrailer& trailer);
  // Drops the snapshot in progress, if any: the link broke.
  void Abort();

  bool in_progress() const { return progress_ != nullptr; }
  // Of the last call: kNone after a success.
  AssemblyRefusal last_refusal() const { return last_refusal_; }
  HeaderRefusal last_header_refusal() const { return last_header_refusal_; }

 private:
  struct Progress;

  absl::Status Refuse(AssemblyRefusal refusal, absl::Status status);
  absl::Status Start(const SnapshotHeader& header, const SnapshotExpectation& expected,
                     absl::StatusOr<KvBuffer> buffer, bool replaced);
  absl::Status CheckChunk(const ChunkSpec& chunk, bool mapped, bool reused = false);
  absl::Status CheckPlace(const ChunkSpec& chunk, bool reused = false);
  absl::Status CheckBase(const ChunkSpec& chunk, uint64_t version, const ContextSnapshot* base);
  absl::Status Accept(const ChunkSpec& chunk, uint64_t hash);

  KvBufferPool* const pool_;
  std::unique_ptr<Progress> progress_;  // null: waiting for a header
  AssemblyRefusal last_refusal_ = AssemblyRefusal::kNone;
  HeaderRefusal last_header_refusal_ = HeaderRefusal::kNone;
};

const char* ToString(AssemblyRefusal refusal);
const char* ToString(HeaderRefusal refusal);

}  // namespace automot::context
