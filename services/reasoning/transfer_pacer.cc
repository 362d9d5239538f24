#include "services/reasoning/transfer_pacer.h"

namespace automot::reasoning {

bool TransferPacer::OnLayers(uint64_t version, int ready, int layers) {
  const absl::Duration now = clock_->Now();
  if (refreshes_.empty() || refreshes_.back().version != version) {
    if (refreshes_.size() == kRefreshes) refreshes_.pop_front();
    refreshes_.push_back(
        {.version = version, .mode = streaming_.Begin(), .layers = layers, .first = now});
  }
  Refresh& refresh = refreshes_.back();
  refresh.last = now;
  refresh.computed = ready == layers;
  return refresh.computed || refresh.mode == LayerStreaming::Mode::kLayers;
}

LayerStreaming::Mode TransferPacer::mode() const {
  return refreshes_.empty() ? streaming_.mode() : refreshes_.back().mode;
}

void TransferPacer::OnHeader(uint64_t version) {
  version_ = version;
  header_at_ = clock_->Now();
  transfer_ = absl::ZeroDuration();
}

void TransferPacer::OnChunkTaken() { transfer_ += clock_->Now() - chunk_begun_; }

void TransferPacer::OnTrailer(uint64_t version, context::SnapshotTimings* timings) {
  if (version != version_) return;
  timings->transfer_ms = absl::ToDoubleMilliseconds(transfer_);
  const Refresh* refresh = Find(version);
  if (refresh == nullptr || !refresh->computed) return;
  timings->layers_ms = absl::ToDoubleMilliseconds(refresh->last - header_at_);
  Learn(*refresh);
}

const TransferPacer::Refresh* TransferPacer::Find(uint64_t version) const {
  for (const Refresh& refresh : refreshes_) {
    if (refresh.version == version) return &refresh;
  }
  return nullptr;
}

// A snapshot that had to wait for the one before it says nothing about streaming.
void TransferPacer::Learn(const Refresh& refresh) {
  if (refresh.layers < 2) return;
  const bool streamed = header_at_ <= refresh.last;
  if (refresh.mode == LayerStreaming::Mode::kLayers && !streamed) return;
  // The first layer's begin is not seen: what the others took stands for it.
  const absl::Duration others = refresh.last - refresh.first;
  streaming_.End(refresh.mode, {.layers = refresh.layers,
                                .compute = others * refresh.layers / (refresh.layers - 1),
                                .transfer = transfer_});
}

}  // namespace automot::reasoning
