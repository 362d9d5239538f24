// Messages of a snapshot -> a verified snapshot: header, chunks, trailer, each as it comes.
// Not thread-safe: one per stream or file.
#pragma once

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "automot/v1/context_snapshot.pb.h"
#include "common/context/header_check.h"
#include "common/context/kv_buffer_pool.h"
#include "common/context/snapshot_assembler.h"

namespace automot::conversion {

// Every hash and the digest are compared; an error ends the snapshot in progress, never what was
// handed out. For readers that can afford one copy more than the lane's own.
class SnapshotReader {
 public:
  // `pool` must outlive the reader, not what it hands out.
  explicit SnapshotReader(context::KvBufferPool* pool) : assembler_(pool) {}

  // `expected`: what the header must say; its session is the snapshot's number here.
  absl::Status Begin(const v1::SnapshotHeader& header,
                     const context::SnapshotExpectation& expected);
  // FAILED_PRECONDITION for a chunk that only refers to an earlier snapshot.
  absl::Status Add(const v1::SnapshotChunk& chunk);
  absl::StatusOr<context::SnapshotPtr> Finish(const v1::SnapshotTrailer& trailer);
  // Drops the snapshot in progress, if any.
  void Abort() { assembler_.Abort(); }

 private:
  context::SnapshotAssembler assembler_;
};

}  // namespace automot::conversion
