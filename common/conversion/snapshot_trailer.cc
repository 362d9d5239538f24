#include "common/conversion/snapshot_trailer.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/conversion/decision.h"
#include "common/conversion/snapshot_header.h"
#include "common/status/status_macros.h"

namespace automot::conversion {
namespace {

constexpr std::size_t kDigestBytes = 16;

// XXH128's canonical form: big-endian, high half first.
void PutBigEndian(uint64_t value, std::string* out) {
  for (int shift = 56; shift >= 0; shift -= 8) out->push_back(static_cast<char>(value >> shift));
}

uint64_t GetBigEndian(const std::string& bytes, std::size_t at) {
  uint64_t value = 0;
  for (std::size_t i = at; i < at + 8; ++i) {
    value = value << 8U | static_cast<unsigned char>(bytes[i]);
  }
  return value;
}

}  // namespace

void SnapshotTrailerToProto(const context::SnapshotTrailer& trailer, const SnapshotId& id,
                            const std::string& session_name, uint32_t chunk_count,
                            v1::SnapshotTrailer* proto) {
  SnapshotIdToProto(id, session_name, proto->mutable_id());
  std::string* digest = proto->mutable_digest();
  PutBigEndian(trailer.digest.high, digest);
  PutBigEndian(trailer.digest.low, digest);
  proto->set_chunk_count(chunk_count);
  if (trailer.decision) DecisionToProto(*trailer.decision, proto->mutable_decision());
  proto->set_refresh_seconds(trailer.timings.total_ms / 1e3);
  if (trailer.timings.layers_ms) proto->set_layers_seconds(*trailer.timings.layers_ms / 1e3);
  proto->set_transfer_seconds(trailer.timings.transfer_ms / 1e3);
}

absl::StatusOr<context::SnapshotTrailer> SnapshotTrailerFromProto(
    const v1::SnapshotTrailer& proto) {
  if (proto.digest().size() != kDigestBytes) {
    return absl::InvalidArgumentError(absl::StrCat("trailer.digest has ", proto.digest().size(),
                                                   " bytes; it must have ", kDigestBytes));
  }
  context::SnapshotTrailer trailer;
  trailer.digest = {.low = GetBigEndian(proto.digest(), 8),
                    .high = GetBigEndian(proto.digest(), 0)};
  if (proto.has_decision()) {
    AUTOMOT_ASSIGN_OR_RETURN(trailer.decision, DecisionFromProto(proto.decision()));
  }
  if (std::isfinite(proto.refresh_seconds())) {
    trailer.timings.total_ms = proto.refresh_seconds() * 1e3;
  }
  if (proto.has_layers_seconds() && std::isfinite(proto.layers_seconds())) {
    trailer.timings.layers_ms = proto.layers_seconds() * 1e3;
  }
  if (std::isfinite(proto.transfer_seconds()) && proto.transfer_seconds() >= 0.0) {
    trailer.timings.transfer_ms = proto.transfer_seconds() * 1e3;
  }
  return trailer;
}

}  // namespace automot::conversion
