#include "common/conversion/snapshot_reader.h"

#include <span>

#include "common/conversion/snapshot_header.h"
#include "common/conversion/snapshot_trailer.h"
#include "common/status/status_macros.h"

namespace automot::conversion {

absl::Status SnapshotReader::Begin(const v1::SnapshotHeader& header,
                                   const context::SnapshotExpectation& expected) {
  AUTOMOT_ASSIGN_OR_RETURN(const context::SnapshotHeader plain,
                           SnapshotHeaderFromProto(header, expected.session));
  return assembler_.Begin(plain, expected);
}

absl::Status SnapshotReader::Add(const v1::SnapshotChunk& chunk) {
  if (chunk.has_reuse()) {
    return absl::FailedPreconditionError("chunk.reuse is set; no earlier snapshot is held");
  }
  const context::ChunkSpec spec{
      .layer = chunk.layer(),
      .tensor = chunk.values() ? context::TensorKind::kValue : context::TensorKind::kKey,
      .offset_bytes = chunk.offset_bytes(),
      .bytes = chunk.data().size(),
      .hash = chunk.hash()};
  return assembler_.Add(spec, std::as_bytes(std::span(chunk.data().data(), chunk.data().size())));
}

absl::StatusOr<context::SnapshotPtr> SnapshotReader::Finish(const v1::SnapshotTrailer& trailer) {
  AUTOMOT_ASSIGN_OR_RETURN(const context::SnapshotTrailer plain, SnapshotTrailerFromProto(trailer));
  return assembler_.Finish(plain);
}

}  // namespace automot::conversion
