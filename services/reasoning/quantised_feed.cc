#include "services/reasoning/quantised_feed.h"

#include <utility>

#include "common/context/quantisation.h"

namespace automot::reasoning {

void QuantisedFeed::OnLayers(const context::SnapshotPtr& native, int layers_ready) {
  thread_->Post([self = shared_from_this(), native, layers_ready] {
    self->Advance(native, layers_ready);
    if (self->status_.ok()) self->outputs_.on_layers(self->building_, self->layers_done_);
  });
}

void QuantisedFeed::OnSnapshot(const context::SnapshotPtr& native) {
  unfinished_.fetch_add(1, std::memory_order_acq_rel);
  thread_->Post([self = shared_from_this(), native] {
    self->Finish(native);
    self->Done();
  });
}

void QuantisedFeed::OnFailed(SessionTimeUs capture_time_us, const absl::Status& why) {
  unfinished_.fetch_add(1, std::memory_order_acq_rel);
  thread_->Post([self = shared_from_this(), capture_time_us, why] {
    self->outputs_.on_failed(capture_time_us, why);
    self->Done();
  });
}

void QuantisedFeed::Begin(const context::SnapshotPtr& native) {
  native_ = native;
  layers_done_ = 0;
  building_ = std::make_shared<context::ContextSnapshot>();
  building_->header = native->header;
  building_->header.layout = context::WithElementType(native->header.layout, type_);
  absl::StatusOr<context::KvBuffer> buffer = pool_->Acquire(building_->header.layout);
  status_ = buffer.status();
  if (buffer.ok()) building_->kv = *std::move(buffer);
}

void QuantisedFeed::Advance(const context::SnapshotPtr& native, int layers_ready) {
  if (native_ != native) Begin(native);
  while (status_.ok() && layers_done_ < layers_ready) {
    status_ = context::QuantiseLayer(native->kv, layers_done_, building_->kv);
    if (status_.ok()) ++layers_done_;
  }
}

void QuantisedFeed::Finish(const context::SnapshotPtr& native) {
  Advance(native, native->header.layout.layers);
  if (!status_.ok()) return outputs_.on_failed(native->header.capture_time_us, status_);
  building_->decision = native->decision;
  building_->timings = native->timings;
  outputs_.on_snapshot(building_);
}

void QuantisedFeed::Done() {
  native_.reset();
  building_.reset();
  unfinished_.fetch_sub(1, std::memory_order_acq_rel);
  outputs_.on_idle();
}

}  // namespace automot::reasoning
