#include "services/planning/recording/snapshot_entries.h"

#include <span>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/context/chunk_hash.h"
#include "common/context/snapshot_manifest.h"
#include "common/conversion/snapshot_header.h"
#include "common/conversion/snapshot_trailer.h"
#include "common/status/status_macros.h"

namespace automot::planning {
namespace {

void ChunkToProto(const context::ChunkSpec& chunk, std::span<const std::byte> bytes,
                  v1::SnapshotChunk* proto) {
  proto->set_layer(chunk.layer);
  proto->set_values(chunk.tensor == context::TensorKind::kValue);
  proto->set_offset_bytes(chunk.offset_bytes);
  proto->set_hash(chunk.hash);
  proto->set_data(bytes.data(), bytes.size());
}

// A recording's own header is all that there is to go by.
context::SnapshotExpectation ExpectedOf(const v1::SnapshotHeader& header, uint64_t session) {
  const SnapshotId id = conversion::SnapshotIdFromProto(header.id(), session);
  context::SnapshotExpectation expected;
  expected.session = session;
  expected.episode = id.episode;
  expected.epoch = id.epoch;
  expected.session_name = header.id().session();
  return expected;
}

}  // namespace

uint64_t SnapshotRecordCount(const context::ContextSnapshot& snapshot) {
  const context::ContextLayout& layout = snapshot.kv.layout();
  const uint64_t step = context::ChunkStep(context::kDefaultChunkBytes);
  const uint64_t tensor =
      layout.key_bytes() / step + 1 + layout.value_bytes() / step + 1;  // chunks of a layer
  return static_cast<uint64_t>(layout.layers) * tensor + 2;
}

absl::Status WriteSnapshotEntries(const context::ContextSnapshot& snapshot,
                                  const std::string& session_name,
                                  const std::function<absl::Status(v1::RecordingEntry*)>& write) {
  v1::RecordingEntry header;
  conversion::SnapshotHeaderToProto(snapshot.header, session_name,
                                    header.mutable_snapshot_header());
  AUTOMOT_RETURN_IF_ERROR(write(&header));
  context::ManifestHasher hasher(snapshot.header, session_name);
  std::vector<context::ChunkSpec> chunks;
  if (!snapshot.kv.empty()) {
    chunks = context::PlanChunks(snapshot.header.layout, context::kDefaultChunkBytes);
  }
  for (context::ChunkSpec& chunk : chunks) {
    const auto bytes = snapshot.kv.Tensor(static_cast<int>(chunk.layer), chunk.tensor)
                           .subspan(chunk.offset_bytes, chunk.bytes);
    chunk.hash = context::HashChunk(bytes);
    hasher.Add(chunk);
    v1::RecordingEntry entry;
    ChunkToProto(chunk, bytes, entry.mutable_snapshot_chunk());
    AUTOMOT_RETURN_IF_ERROR(write(&entry));
  }
  v1::RecordingEntry trailer;
  conversion::SnapshotTrailerToProto(
      {hasher.Finish(snapshot.decision), snapshot.decision, snapshot.timings}, snapshot.header.id,
      session_name, static_cast<uint32_t>(chunks.size()), trailer.mutable_snapshot_trailer());
  return write(&trailer);
}

absl::StatusOr<context::SnapshotPtr> SnapshotEntryReader::Take(const v1::RecordingEntry& entry,
                                                               uint64_t session) {
  switch (entry.what_case()) {
    case v1::RecordingEntry::kSnapshotHeader:
      AUTOMOT_RETURN_IF_ERROR(
          reader_.Begin(entry.snapshot_header(), ExpectedOf(entry.snapshot_header(), session)));
      return nullptr;
    case v1::RecordingEntry::kSnapshotChunk:
      AUTOMOT_RETURN_IF_ERROR(reader_.Add(entry.snapshot_chunk()));
      return nullptr;
    case v1::RecordingEntry::kSnapshotTrailer:
      return reader_.Finish(entry.snapshot_trailer());
    default:
      return absl::DataLossError(
          absl::StrCat("record ", entry.index(), " is in the middle of a snapshot"));
  }
}

}  // namespace automot::planning
