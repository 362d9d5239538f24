// One SubscribeContexts call: raw messages in, complete and verified snapshots out. Step 4 of a
// tick.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/byte_buffer.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "automot/v1/reasoning_service.pb.h"
#include "common/context/snapshot_assembler.h"
#include "common/context/snapshot_channel.h"
#include "common/shared_memory/region_client.h"
#include "common/time/clock.h"
#include "services/planning/lane/completion_thread.h"
#include "services/planning/lane/subscribe_message.h"

namespace automot::planning {

// Everything happens on the completion thread. Lives until its call is over; `on_closed` comes
// last, once.
class ContextStream final : public std::enable_shared_from_this<ContextStream> {
 public:
  struct Events {
    std::function<void(const v1::Attached&)> on_attached;
    std::function<void(context::SnapshotPtr)> on_snapshot;
    // The stream goes on: the old snapshot keeps serving. `refusal`: why assembly or verification
    // failed here, one of kLinkRefusals; empty where the producer failed.
    std::function<void(SessionTimeUs capture_time_us, const absl::Status& why,
                       std::string_view refusal)>
        on_failed;
    std::function<void()> on_draining;
    std::function<void(std::size_t bytes)> on_bytes;
    std::function<void(std::size_t bytes)> on_copied;  // of keys and values, by this process
    std::function<void(std::size_t bytes)> on_reused;  // copied from the snapshot before
    std::function<void(const absl::Status& why)> on_closed;
  };

  // `thread` and `pool` outlive the stream. `regions`: the shared-memory lane; null: payload comes
  // as chunks.
  ContextStream(CompletionThread* thread, context::KvBufferPool* pool,
                std::shared_ptr<shared_memory::RegionClient> regions,
                const context::AttachRequest& request, Events events);

  // Subscribes over `channel`. Without an answer within `attach_deadline` the call ends with
  // DEADLINE_EXCEEDED.
  void Start(const std::shared_ptr<grpc::Channel>& channel, absl::Duration attach_deadline);
  // Ends the call; on_closed follows, with `why`.
  void Cancel(absl::Status why = absl::CancelledError("detached"));

  // What the headers must say from now on.
  void SetEpisode(uint32_t episode) { expected_.episode = episode; }

  // Version of the snapshot that chunks may refer to; 0: none.
  uint64_t held_version() const { return held_ == nullptr ? 0 : held_->header.id.version; }

 private:
  void Read();
  void OnRead(bool ok);
  void End();
  void Take(SubscribeMessage message);
  void TakeAttached(const v1::Attached& attached);
  void TakeChunk(const ChunkMessage& message);
  void TakeSharedLayers(const v1::SharedLayers& layers);
  absl::Status Begin(const v1::SnapshotHeader& proto);
  absl::Status BeginShared(const context::SnapshotHeader& header, const v1::SharedPlace& place);
  void TakeEvent(const v1::SubscribeContextsResponse& message);
  void TakeHeader(const v1::SnapshotHeader& proto);
  void TakeTrailer(const v1::SnapshotTrailer& proto);
  void Refuse(const absl::Status& why);
  std::string_view RefusalName() const;

  CompletionThread* const thread_;
  context::SnapshotAssembler assembler_;
  context::SnapshotExpectation expected_;
  const std::shared_ptr<shared_memory::RegionClient> regions_;
  const v1::SubscribeContextsRequest request_;
  Events events_;

  grpc::ClientContext call_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream_;
  CompletionThread::Timer attach_timer_;
  grpc::ByteBuffer message_;
  grpc::Status final_status_;
  absl::Status own_status_;  // why this side ended the call, where it did
  // Newest one verified, for chunks that refer to it; null after a refusal: the producer then sends
  // everything. Always null in the shared-memory lane.
  context::SnapshotPtr held_;
  const MonotonicClock clock_;
  absl::Duration header_at_, layer_at_;  // the header's and the newest chunk's arrival
  SessionTimeUs capture_time_us_ = 0;    // of the snapshot in progress
  uint32_t chunks_ = 0;                  // of the snapshot in progress
  bool skipping_ = false;                // refused: the rest of this snapshot is ignored
  bool copying_ = true;                  // the snapshot in progress
  bool lent_ = false;                    // a use is in nobody's hands yet
  uint64_t shared_uses_ = 0;             // that came with headers
  std::size_t shared_limit_ = 0;         // snapshots that may be held
  shared_memory::PlaceRefusal place_refusal_ = shared_memory::PlaceRefusal::kNone;  // of the last
};

}  // namespace automot::planning
