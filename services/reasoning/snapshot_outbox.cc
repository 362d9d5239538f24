#include "services/reasoning/snapshot_outbox.h"

#include <utility>

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
  if (options_.layers) {
    transfer.chunks = context::PlanChunks(snapshot->header.layout, options_.chunk_bytes);
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
  if (transfer.next_chunk < transfer.chunks.size()) return LayersOf(transfer);
  if (!transfer.complete) return std::nullopt;
  OutboxTrailer trailer{.snapshot = transfer.snapshot,
                        .trailer = TrailerOf(transfer),
                        .chunk_count = static_cast<uint32_t>(transfer.chunks.size())};
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
  const auto ready = [&transfer] {
    return transfer.next_chunk < transfer.chunks.size() &&
           static_cast<int>(transfer.chunks[transfer.next_chunk].layer) < transfer.layers_ready;
  };
  if (!ready()) return std::nullopt;
  if (!options_.lend) {
    context::ChunkSpec& chunk = transfer.chunks[transfer.next_chunk++];
    Hash(transfer, chunk);
    return OutboxChunk{transfer.snapshot, chunk};
  }
  OutboxSharedLayers layers;
  for (std::size_t bytes = 0; ready() && bytes < kSharedBatchBytes;) {
    context::ChunkSpec& chunk = transfer.chunks[transfer.next_chunk++];
    Hash(transfer, chunk);
    bytes += chunk.bytes;
    layers.chunks.push_back(chunk);
  }
  return layers;
}

void SnapshotOutbox::Hash(Transfer& transfer, context::ChunkSpec& chunk) {
  const auto tensor =
      std::as_const(transfer.snapshot->kv).Tensor(static_cast<int>(chunk.layer), chunk.tensor);
  chunk.hash = context::HashChunk(tensor.subspan(chunk.offset_bytes, chunk.bytes));
  transfer.hasher.Add(chunk);
}

context::SnapshotTrailer SnapshotOutbox::TrailerOf(const Transfer& transfer) {
  std::optional<Decision> decision = OnTheWire(transfer.snapshot->decision);
  const context::ManifestDigest digest = transfer.hasher.Finish(decision);
  return {.digest = digest, .decision = std::move(decision), .timings = transfer.snapshot->timings};
}

}  // namespace automot::reasoning
