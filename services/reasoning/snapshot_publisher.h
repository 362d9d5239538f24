// One consumer's stream of snapshots: step 3 of a tick.
#pragma once

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "automot/v1/reasoning_service.pb.h"
#include "services/reasoning/chaos_stream.h"
#include "services/reasoning/snapshot_outbox.h"
#include "services/reasoning/snapshot_sink.h"
#include "services/reasoning/transfer_pacer.h"

namespace automot::reasoning {

// Writes what the engine tells it, one message at a time, and nothing faster than the consumer
// reads. Thread-safe. Deletes itself when the call is over, after `on_done`; that is where its user
// detaches it from the engine.
class SnapshotPublisher final : public grpc::ServerWriteReactor<grpc::ByteBuffer>,
                                public SnapshotSink {
 public:
  struct Options {
    SnapshotOutbox::Options outbox;                     // `lend` is the publisher's own
    std::shared_ptr<shared_memory::RegionLoans> loans;  // null: payload goes as chunks
    ChaosSource* chaos = nullptr;  // outlives the stream; null: nothing is damaged
    absl::Duration drain_deadline;
    LayerStreaming::Setting layer_streaming = LayerStreaming::Setting::kAuto;
    const Clock* clock = nullptr;   // outlives the publisher
    std::function<void()> on_room;  // a waiting snapshot has gone out
    std::function<void()> on_done;
    std::function<void(LayerStreaming::Mode)>
        on_streamed;                         // of each refresh's layers, once computed
    std::function<void()> on_replaced;       // by a newer snapshot, before any of it was sent
    std::function<void(bool lent)> on_loan;  // of each attempt to lend
  };

  explicit SnapshotPublisher(Options options);

  // Sends `attached` before anything else; to be called before the engine knows the sink.
  void Greet(const v1::Attached& attached);
  // The consumer may have room for another loan, or is gone.
  void OnLoanRoom();
  // Ends the stream once the message in flight is out. Never twice.
  void Close(const absl::Status& status);

  // SnapshotSink.
  void OnLayers(const context::SnapshotPtr& building, int layers_ready) override;
  void OnHeld(uint64_t version) override {
    held_version_.store(version, std::memory_order_release);
  }
  bool HasRoom() const override { return has_room_.load(std::memory_order_acquire); }
  void OnSnapshot(context::SnapshotPtr snapshot) override;
  void OnRefreshFailed(uint64_t session, SessionTimeUs capture_time_us,
                       const absl::Status& why) override;
  void OnLinkState(context::LinkState state, const absl::Status& why) override;

 private:
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

  static Options WithLoans(Options options);
  void Pump() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Runs `work` under the mutex; tells afterwards where that has made room.
  template <typename Work>
  void RunAndTellRoom(Work&& work);
  std::optional<grpc::ByteBuffer> NextMessage() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Time(OutboxItem& item) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::optional<OutboxItem> NextItem() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::optional<grpc::ByteBuffer> NextOfChaos() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void EndHere(absl::Status why) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CloseLocked(const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Options options_;
  std::atomic<bool> has_room_{true};
  std::atomic<uint64_t> held_version_{0};
  absl::Mutex mutex_;
  SnapshotOutbox outbox_ ABSL_GUARDED_BY(mutex_);
  TransferPacer pacer_ ABSL_GUARDED_BY(mutex_);
  bool chunk_in_flight_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<ChaosStream> chaos_ ABSL_GUARDED_BY(mutex_);
  std::optional<v1::SubscribeContextsResponse> notice_ ABSL_GUARDED_BY(mutex_);  // goes first
  std::optional<absl::Status> close_ ABSL_GUARDED_BY(mutex_);
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  grpc::ByteBuffer message_ ABSL_GUARDED_BY(mutex_);  // in flight
};

}  // namespace automot::reasoning
