#include "services/reasoning/chaos_stream.h"

#include <iterator>
#include <span>
#include <utility>

#include "automot/v1/reasoning_service.pb.h"
#include "common/conversion/snapshot_header.h"
#include "common/conversion/snapshot_trailer.h"
#include "services/reasoning/snapshot_wire.h"

namespace automot::reasoning {
namespace {

uint64_t Mix(uint64_t seed, uint64_t index) {
  uint64_t x = seed + (index + 1) * 0x9E3779B97F4A7C15ULL;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
  return x ^ (x >> 31);
}

faults::WireChunk Copy(const OutboxChunk& item) {
  const std::span<const std::byte> bytes =
      std::as_const(item.snapshot->kv)
          .Tensor(static_cast<int>(item.chunk.layer), item.chunk.tensor)
          .subspan(item.chunk.offset_bytes, item.chunk.bytes);
  return {item.chunk, {bytes.begin(), bytes.end()}};
}

}  // namespace

std::optional<uint64_t> ChaosSource::NextPlanSeed() {
  const uint64_t drawn = Mix(seed_, snapshots_.fetch_add(1));
  if (drawn % 2 == 0) return std::nullopt;
  return drawn >> 1;
}

void ChaosStream::Take(const OutboxItem& item) {
  if (const auto* header = std::get_if<OutboxHeader>(&item)) {
    building_ = {header->snapshot->header};
  } else if (const auto* chunk = std::get_if<OutboxChunk>(&item)) {
    building_.emplace_back(Copy(*chunk));
  } else if (const auto* trailer = std::get_if<OutboxTrailer>(&item)) {
    building_.emplace_back(trailer->trailer);
    Release();
  } else {
    building_.clear();  // the refresh that it belonged to failed
    ready_.push_back(Serialize(item, session_name_));
  }
}

void ChaosStream::Release() {
  const auto header = std::get<context::SnapshotHeader>(building_.front());
  faults::FaultedMessages faulted{.messages = std::move(building_)};
  building_.clear();
  if (const std::optional<uint64_t> seed = source_->NextPlanSeed()) {
    faulted = faults::FaultPlan::FromSeed(*seed).Inject(std::move(faulted.messages));
    if (!faulted.injected.empty()) source_->Tell(header, *seed, faulted.injected);
  }
  for (const faults::WireMessage& message : std::exchange(late_, std::move(faulted.late))) {
    Send(message);
  }
  for (const faults::WireMessage& message : faulted.messages) Send(message);
  killed_ = faulted.killed;
}

void ChaosStream::Send(const faults::WireMessage& message) {
  v1::SubscribeContextsResponse wire;
  if (const auto* header = std::get_if<context::SnapshotHeader>(&message)) {
    conversion::SnapshotHeaderToProto(*header, session_name_, wire.mutable_header());
    id_ = header->id;
    chunks_ = 0;
  } else if (const auto* chunk = std::get_if<faults::WireChunk>(&message)) {
    v1::SnapshotChunk* const out = wire.mutable_chunk();
    out->set_layer(chunk->spec.layer);
    out->set_values(chunk->spec.tensor == context::TensorKind::kValue);
    out->set_offset_bytes(chunk->spec.offset_bytes);
    out->set_hash(chunk->spec.hash);
    out->set_data(chunk->bytes.data(), chunk->bytes.size());
    ++chunks_;
  } else {
    // Counts what left, so that the digest and the chunks' own checks must find what is wrong.
    conversion::SnapshotTrailerToProto(std::get<context::SnapshotTrailer>(message), id_,
                                       session_name_, chunks_, wire.mutable_trailer());
  }
  ready_.push_back(Serialize(wire));
}

std::optional<grpc::ByteBuffer> ChaosStream::Next() {
  if (ready_.empty()) return std::nullopt;
  std::optional<grpc::ByteBuffer> message = std::move(ready_.front());
  ready_.pop_front();
  return message;
}

}  // namespace automot::reasoning
