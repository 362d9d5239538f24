// One consumer of a session's snapshots: its owner (the planning side, under an epoch) or a
// listener that wants decisions.
#pragma once

#include <memory>
#include <utility>

#include "common/context/receiver_gate.h"
#include "common/context/snapshot_channel.h"
#include "services/reasoning/snapshot_sink.h"

namespace automot::reasoning {

// Immutable but for its pass. Thread-safe. The receiver outlives the attachment's pass.
class Attachment {
 public:
  // `sink` is the receiver again where it wants layers, else null.
  Attachment(context::AttachRequest request, context::SnapshotReceiver* receiver,
             SnapshotSink* sink, std::shared_ptr<context::ReceiverGate> gate)
      : request_(std::move(request)), receiver_(receiver), sink_(sink), pass_(std::move(gate)) {}

  const context::AttachRequest& request() const { return request_; }
  context::SnapshotReceiver* receiver() const { return receiver_; }
  context::ReceiverPass& pass() { return pass_; }
  bool revoked() const { return pass_.revoked(); }
  bool HasRoom() const { return sink_ == nullptr || sink_->HasRoom(); }

  void SendLayers(const context::SnapshotPtr& building, int layers_ready) {
    if (sink_ == nullptr) return;
    pass_.Run([&] { sink_->OnLayers(building, layers_ready); });
  }
  void SendSnapshot(const context::SnapshotPtr& snapshot) {
    pass_.Run([&] { receiver_->OnSnapshot(snapshot); });
  }
  void SendFailure(SessionTimeUs capture_time_us, const absl::Status& why) {
    pass_.Run([&] { receiver_->OnRefreshFailed(request_.session, capture_time_us, why); });
  }
  void SendLinkState(context::LinkState state, const absl::Status& why) {
    pass_.Run([&] { receiver_->OnLinkState(state, why); });
  }

 private:
  const context::AttachRequest request_;
  context::SnapshotReceiver* const receiver_;
  SnapshotSink* const sink_;
  context::ReceiverPass pass_;
};
using AttachmentPtr = std::shared_ptr<Attachment>;

}  // namespace automot::reasoning
