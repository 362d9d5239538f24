#include "services/reasoning/snapshot_outbox.h"

#include <algorithm>
#include <utility>

#include "common/context/chunk_reuse.h"

namespace automot::reasoning {
namespace {

// Slots beyond the count do not cross the wire, so they must not enter the digest.
std::optional<Decision> OnTheWire(const std::optional<Decision>& decision) {
  if (!decision) return std::nullopt;
  Decision sent;
  sent.slot_count = decision->slot_count;
  for (std::size_t i = 0; i < decision->slot_count; ++i) sent.slots.at(i) = decision->slots.at(i);
  return sent;
}

}  // namespace

SnapshotOutbox::Transfer SnapshotOutbox::Begin(const context::SnapshotPtr& snapshot) const {
  Transfer transfer{.snapshot = snapshot,
                    .hasher = context::ManifestHasher(snapshot->header, options_.session_name)};
  if (!options_.layers) {
    transfer.next.layer = static_cast<uint32_t>(snapshot->header.layout.layers);
  }
  return transfer;
}

void SnapshotOutbox::OnLayers(const context::SnapshotPtr& building, int layers_ready) {
  if (!current_ && waiting_ == nullptr) current_ = Begin(building);
  if (current_ && current_->snapshot == building) current_->layers_ready = layers_ready;
}

void SnapshotOutbox::OnSnapshot(const context::SnapshotPtr& snapshot) {
  if (!current_) current_ = Begin(snapshot);
  if (current_->snapshot == snapshot) {
    current_->layers_ready = snapshot->header.layout.layers;
    current_->complete = true;
    return;
  }
  if (waiting_ != nullptr) ++replaced_;
  waiting_ = snapshot;
}

void SnapshotOutbox::OnRefreshFailed(SessionTimeUs capture_time_us, const absl::Status& why) {
  // Refreshes of a session run one after the other: an incomplete transfer is the one that failed.
  if (current_ && !current_->complete) current_.reset();
  if (failures_.size() == kMaxFailures) failures_.pop_front();
  failures_.push_back({capture_time_us, why});
}

void SnapshotOutbox::Clear() {
  current_.reset();
  waiting_.reset();
  failures_.clear();
  last_sent_.reset();
}

std::optional<OutboxItem> SnapshotOutbox::Next() {
  // Between snapshots only, so that a failure never splits one.
  const bool inside = current_ && current_->header_sent;
  if (!inside && !failures_.empty()) {
    OutboxFailure failure = std::move(failures_.front());
    failures_.pop_front();
    return failure;
  }
  if (!current_ && waiting_ != nullptr) OnSnapshot(std::exchange(waiting_, nullptr));
  return current_ ? NextOf(*current_) : std::nullopt;
}

std::optional<OutboxItem> SnapshotOutbox::NextOf(Transfer& transfer) {
  if (!transfer.header_sent) return BeginOf(transfer);
  if (static_cast<int>(transfer.next.layer) < transfer.snapshot->header.layout.layers) {
    return LayersOf(transfer);
  }
  if (!transfer.complete) return std::nullopt;
  OutboxTrailer trailer{.snapshot = transfer.snapshot,
                        .trailer = TrailerOf(transfer),
                        .chunk_count = transfer.chunks_sent};
  if (options_.reuse && options_.layers) last_sent_ = transfer.snapshot;
  current_.reset();
  return trailer;
}

std::optional<OutboxItem> SnapshotOutbox::BeginOf(Transfer& transfer) {
  if (!options_.layers && !transfer.complete) return std::nullopt;
  if (options_.lend && options_.layers) {
    const auto outcome = options_.lend(transfer.snapshot);
    borrower_gone_ = outcome == shared_memory::LendOutcome::kEnded;
    if (outcome != shared_memory::LendOutcome::kLent) return std::nullopt;
  }
  transfer.header_sent = true;
  return OutboxHeader{transfer.snapshot, options_.lend && options_.layers};
}

std::optional<OutboxItem> SnapshotOutbox::LayersOf(Transfer& transfer) {
  const int layers = transfer.snapshot->header.layout.layers;
  const auto ready = [&transfer, layers] {
    return static_cast<int>(transfer.next.layer) < std::min(layers, transfer.layers_ready);
  };
  if (!ready()) return std::nullopt;
  if (!options_.lend) return NextChunk(transfer);
  OutboxSharedLayers shared;
  for (std::size_t bytes = 0; ready() && bytes < kSharedBatchBytes;) {
    shared.chunks.push_back(NextChunk(transfer).chunk);
    bytes += shared.chunks.back().bytes;
  }
  return shared;
}

context::SnapshotPtr SnapshotOutbox::BaseFor(const context::ContextSnapshot& snapshot) const {
  if (last_sent_ == nullptr || held_version_ == 0) return nullptr;
  SnapshotId held = snapshot.header.id;
  held.version = held_version_;
  const bool usable = last_sent_->header.id == held &&
                      context::SameRows(last_sent_->header.layout, snapshot.header.layout);
  return usable ? last_sent_ : nullptr;
}

std::size_t SnapshotOutbox::Reusable(const Transfer& transfer) const {
  if (transfer.base == nullptr || transfer.next.offset_bytes != 0) return 0;
  return context::ReusableBytes(transfer.base->kv, transfer.snapshot->kv,
                                static_cast<int>(transfer.next.layer), transfer.next.tensor);
}

OutboxChunk SnapshotOutbox::NextChunk(Transfer& transfer) {
  if (transfer.chunks_sent == 0) transfer.base = BaseFor(*transfer.snapshot);
  context::ChunkSpec& at = transfer.next;
  const auto tensor =
      std::as_const(transfer.snapshot->kv).Tensor(static_cast<int>(at.layer), at.tensor);
  const std::size_t reusable = Reusable(transfer);
  OutboxChunk item{.snapshot = transfer.snapshot, .chunk = at};
  item.chunk.bytes =
      std::min<uint64_t>(context::ChunkStep(options_.chunk_bytes), tensor.size() - at.offset_bytes);
  if (reusable > 0) {
    item.chunk.bytes = reusable;
    item.reuse_version = transfer.base->header.id.version;
    reused_bytes_ += reusable;
  }
  item.chunk.hash = context::HashChunk(tensor.subspan(at.offset_bytes, item.chunk.bytes));
  transfer.hasher.Add(item.chunk);
  ++transfer.chunks_sent;
  at.offset_bytes += item.chunk.bytes;
  if (at.offset_bytes == tensor.size()) {
    at.offset_bytes = 0;
    if (at.tensor == context::TensorKind::kValue) ++at.layer;
    at.tensor = at.tensor == context::TensorKind::kKey ? context::TensorKind::kValue
                                                       : context::TensorKind::kKey;
  }
  return item;
}

context::SnapshotTrailer SnapshotOutbox::TrailerOf(const Transfer& transfer) {
  std::optional<Decision> decision = OnTheWire(transfer.snapshot->decision);
  const context::ManifestDigest digest = transfer.hasher.Finish(decision);
  return {.digest = digest, .decision = std::move(decision), .timings = transfer.snapshot->timings};
}

}  // namespace automot::reasoning
