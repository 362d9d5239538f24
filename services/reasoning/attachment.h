// One consumer of a session's snapshots: its owner (the planning side, under an epoch) or a
// listener that wants decisions.
#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "common/context/receiver_gate.h"
#include "common/context/snapshot_channel.h"
#include "services/reasoning/quantised_feed.h"
#include "services/reasoning/snapshot_sink.h"

namespace automot::reasoning {

// Immutable but for its pass, once its feed is set. Thread-safe. The receiver outlives the
// attachment's pass.
class Attachment : public std::enable_shared_from_this<Attachment> {
 public:
  // `sink` is the receiver again where it wants layers, else null.
  Attachment(context::AttachRequest request, context::SnapshotReceiver* receiver,
             SnapshotSink* sink, std::shared_ptr<context::ReceiverGate> gate)
      : request_(std::move(request)), receiver_(receiver), sink_(sink), pass_(std::move(gate)) {}

  const context::AttachRequest& request() const { return request_; }
  context::SnapshotReceiver* receiver() const { return receiver_; }
  context::ReceiverPass& pass() { return pass_; }
  bool revoked() const { return pass_.revoked(); }
  bool HasRoom() const {
    return (feed_ == nullptr || feed_->idle()) && (sink_ == nullptr || sink_->HasRoom());
  }

  // The consumer gets quantised snapshots from now on, made on `thread`. Before it gets any; once.
  // `on_idle` is called as HasRoom may have become true.
  void QuantiseTo(context::ContextLayout::ElementType type, context::KvBufferPool* pool,
                  LinkThread* thread, std::function<void()> on_idle);

  void SendLayers(const context::SnapshotPtr& building, int layers_ready) {
    if (feed_ != nullptr) return feed_->OnLayers(building, layers_ready);
    DeliverLayers(building, layers_ready);
  }
  void SendSnapshot(const context::SnapshotPtr& snapshot) {
    if (feed_ != nullptr) return feed_->OnSnapshot(snapshot);
    DeliverSnapshot(snapshot);
  }
  void SendFailure(SessionTimeUs capture_time_us, const absl::Status& why) {
    if (feed_ != nullptr) return feed_->OnFailed(capture_time_us, why);
    DeliverFailure(capture_time_us, why);
  }
  void SendHeld(uint64_t version) {
    if (sink_ == nullptr) return;
    pass_.Run([&] { sink_->OnHeld(version); });
  }
  void SendLinkState(context::LinkState state, const absl::Status& why) {
    pass_.Run([&] { receiver_->OnLinkState(state, why); });
  }

 private:
  void DeliverLayers(const context::SnapshotPtr& building, int layers_ready) {
    if (sink_ == nullptr) return;
    pass_.Run([&] { sink_->OnLayers(building, layers_ready); });
  }
  void DeliverSnapshot(const context::SnapshotPtr& snapshot) {
    pass_.Run([&] { receiver_->OnSnapshot(snapshot); });
  }
  void DeliverFailure(SessionTimeUs capture_time_us, const absl::Status& why) {
    pass_.Run([&] { receiver_->OnRefreshFailed(request_.session, capture_time_us, why); });
  }

  const context::AttachRequest request_;
  context::SnapshotReceiver* const receiver_;
  SnapshotSink* const sink_;
  context::ReceiverPass pass_;
  std::shared_ptr<QuantisedFeed> feed_;  // null: snapshots go as they are
};

// Tasks of the feed may outlive the attachment: they then reach nobody.
inline void Attachment::QuantiseTo(context::ContextLayout::ElementType type,
                                   context::KvBufferPool* pool, LinkThread* thread,
                                   std::function<void()> on_idle) {
  const auto with_self = [weak = weak_from_this()](auto call) {
    if (const std::shared_ptr<Attachment> self = weak.lock()) call(*self);
  };
  QuantisedFeed::Outputs outputs;
  outputs.on_layers = [with_self](const context::SnapshotPtr& building, int layers_ready) {
    with_self([&](Attachment& self) { self.DeliverLayers(building, layers_ready); });
  };
  outputs.on_snapshot = [with_self](const context::SnapshotPtr& snapshot) {
    with_self([&](Attachment& self) { self.DeliverSnapshot(snapshot); });
  };
  outputs.on_failed = [with_self](SessionTimeUs capture_time_us, const absl::Status& why) {
    with_self([&](Attachment& self) { self.DeliverFailure(capture_time_us, why); });
  };
  outputs.on_idle = std::move(on_idle);
  feed_ = std::make_shared<QuantisedFeed>(type, pool, thread, std::move(outputs));
}

using AttachmentPtr = std::shared_ptr<Attachment>;

}  // namespace automot::reasoning
