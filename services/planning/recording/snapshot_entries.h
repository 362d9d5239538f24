// A context snapshot as records of a recording: header, chunks, trailer, with the hashes and the
// digest of the lanes between processes.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "automot/v1/recording.pb.h"
#include "common/context/context_snapshot.h"
#include "common/context/kv_buffer_pool.h"
#include "common/conversion/snapshot_reader.h"

namespace automot::planning {

// Bytes of the records that are not keys and values, at most.
inline constexpr uint64_t kSnapshotRecordsOverhead = uint64_t{1} << 20;
// Records of a snapshot, at most.
uint64_t SnapshotRecordCount(const context::ContextSnapshot& snapshot);

// Hands over the records one after the other, until one cannot be written. Reads every byte once.
absl::Status WriteSnapshotEntries(const context::ContextSnapshot& snapshot,
                                  const std::string& session_name,
                                  const std::function<absl::Status(v1::RecordingEntry*)>& write);

// Puts snapshots together again; every hash and the digest are verified. Not thread-safe.
class SnapshotEntryReader {
 public:
  // `pool` must outlive the reader and what it hands out lives as long as it wants.
  explicit SnapshotEntryReader(context::KvBufferPool* pool) : reader_(pool) {}

  // Takes the next of a snapshot's records; `session` is its number here. The snapshot, once the
  // trailer is there; null before. An error ends the snapshot.
  absl::StatusOr<context::SnapshotPtr> Take(const v1::RecordingEntry& entry, uint64_t session);

 private:
  conversion::SnapshotReader reader_;
};

}  // namespace automot::planning
