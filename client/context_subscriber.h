// Context snapshots for a planner of your own: one session's keys and values, kept by a reasoning
// service, held here.
//
//   auto contexts = ContextSubscriber::Connect(options);   // attaches; decides which producer
//   auto reader = (*contexts)->RegisterReader("planner");  // one for each planning thread
//
//   (*contexts)->Submit(observation);              // what the vehicle sees, whenever it does
//   auto handle = (*contexts)->Latest(*reader);    // newest complete snapshot: wait-free
//   if (handle) UseKeys(handle->kv.Tensor(layer, TensorKind::kKey));
//
// The subscriber is the session's planning owner (semantics 2): it mints an epoch for each
// attachment, which fences every earlier owner; where a later one fences it, it ends
// (Status::fenced) and does not fight. Do not use one for a session that a planning service serves.
//
// Threads: reads (Latest, LatestVisible, Specific, AtLeast, releasing a handle) are wait-free, take
// no lock and allocate nothing; one registered reader for each thread that reads at the same time.
// Submit and Reset wait for the service, at most call_timeout. Snapshots arrive on a thread of the
// subscriber's own, which also attaches again when the service goes away, with a growing delay.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "automot/v1/reasoning_service.grpc.pb.h"
#include "common/context/kv_buffer_pool.h"
#include "common/context/snapshot_store.h"
#include "common/conversion/snapshot_reader.h"
#include "common/rpc/credentials.h"

namespace automot::client {

class ContextSubscriber {
 public:
  struct Options {
    std::string address = "127.0.0.1:50052";  // of the reasoning service
    rpc::ChannelTlsOptions tls;               // empty: plain text
    std::string session;                      // 1 .. 128 printable ASCII characters
    std::string model_revision;               // that your planner runs; others are refused
    double reasoning_rate_hz = 2.0;           // refreshes wanted
    bool lossless = false;                    // every observation that asks for a refresh gets one
    automot::v1::KvLayout layout = automot::v1::KV_LAYOUT_COMPACT;
    automot::v1::ElementType element_type =
        automot::v1::ELEMENT_TYPE_UNSPECIFIED;  // the producer's own, or a quantised one
    uint32_t retained_versions = 4;             // reachable at a time
    uint32_t readers = 8;
    uint32_t handles_per_reader = 4;                           // that one reader may hold
    std::size_t snapshot_memory_bytes = std::size_t{2} << 30;  // of keys and values
    absl::Duration connect_timeout = absl::Seconds(30);        // until attached for the first time
    absl::Duration call_timeout = absl::Seconds(5);            // Submit
    // Called for each snapshot that became visible, on the subscriber's thread; must not block.
    std::function<void(const SnapshotId&)> on_snapshot;
  };

  // A pinned snapshot: `*handle` is a context::ContextSnapshot, immutable, whose keys and values
  // (kv.Tensor: `[tokens, kv_heads, head_dim]`, header.layout.element_type, CPU, read-only) stay
  // valid and the same while the handle lives, whatever is published or reset meanwhile. Movable.
  // Handles must die before the subscriber.
  class Handle {
   public:
    Handle() = default;
    explicit operator bool() const { return static_cast<bool>(pinned_); }
    const context::ContextSnapshot& operator*() const { return **pinned_; }
    const context::ContextSnapshot* operator->() const { return pinned_->get(); }
    // Why there is none.
    context::Miss miss() const { return pinned_.miss(); }
    void Release() { pinned_.Release(); }

   private:
    friend class ContextSubscriber;
    using Pinned = context::SnapshotStore<context::SnapshotPtr>::Handle;
    explicit Handle(Pinned pinned) : pinned_(std::move(pinned)) {}
    Pinned pinned_;
  };

  struct Status {
    bool attached = false;
    std::string why_not;    // the last failure, where not attached
    uint64_t epoch = 0;     // in force
    uint64_t received = 0;  // complete and verified
    uint64_t refused = 0;   // incomplete, damaged, or of another model
    uint64_t failed = 0;    // refreshes that the producer could not make
    uint64_t attachments = 0;
    bool fenced = false;    // another owner took the session: nothing comes any more
    bool draining = false;  // the producer has said that it will go
  };

  // Returns once attached. DEADLINE_EXCEEDED with what went wrong last; INVALID_ARGUMENT names the
  // option; FAILED_PRECONDITION: the producer runs another model.
  static absl::StatusOr<std::unique_ptr<ContextSubscriber>> Connect(Options options);
  // Ends the subscription; waits for its thread.
  ~ContextSubscriber();
  ContextSubscriber(const ContextSubscriber&) = delete;
  ContextSubscriber& operator=(const ContextSubscriber&) = delete;

  // RESOURCE_EXHAUSTED: options.readers are registered.
  absl::StatusOr<context::ReaderSlot> RegisterReader(const std::string& name);

  // Wait-free reads. Without a snapshot the handle is false and says why.
  Handle Latest(context::ReaderSlot reader) const;
  // The newest captured at or before `now_us` of session time.
  Handle LatestVisible(context::ReaderSlot reader, SessionTimeUs now_us) const;
  // Exactly this one, while it is retained. The id's session is taken as this one.
  Handle Specific(context::ReaderSlot reader, SnapshotId id) const;
  // The newest, where it is of this version or a later one of the epoch in force.
  Handle AtLeast(context::ReaderSlot reader, uint64_t version) const;

  // Hands an observation with at least one camera picture to the producer. `refresh`: none shall
  // come of it (kHistory), the newest wins (kCandidate), or at once, ahead of the schedule (kNow).
  // UNAVAILABLE while not attached; RESOURCE_EXHAUSTED: a lossless session's queue is full.
  enum class Refresh : uint8_t { kHistory, kCandidate, kNow };
  absl::Status Submit(const automot::v1::Observation& observation,
                      Refresh refresh = Refresh::kCandidate);

  // Begins an episode: hides all snapshots at once, and attaches anew. ABORTED where fenced.
  absl::Status Reset();

  Status status() const;

 private:
  using Store = context::SnapshotStore<context::SnapshotPtr>;

  explicit ContextSubscriber(Options options);
  absl::Status Prepare();
  absl::Status AwaitAttached();

  // Subscriber's thread.
  void Run();
  absl::Status ServeOneAttachment();
  automot::v1::SubscribeContextsRequest Attach(std::shared_ptr<grpc::ClientContext>* call);
  void Take(const automot::v1::SubscribeContextsResponse& message);
  absl::Status TakePart(const automot::v1::SubscribeContextsResponse& message);
  void Publish(context::SnapshotPtr snapshot);
  bool WaitBeforeRetry(absl::Duration delay);

  const Options options_;
  context::KvBufferPool pool_;
  std::unique_ptr<Store> store_;
  context::SessionHandle session_;
  std::unique_ptr<automot::v1::ReasoningService::Stub> stub_;
  std::atomic<uint64_t> epoch_{0};  // in force

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Status status_ ABSL_GUARDED_BY(mutex_);
  absl::Status last_failure_ ABSL_GUARDED_BY(mutex_);
  uint32_t episode_ ABSL_GUARDED_BY(mutex_) = 1;
  uint64_t sequence_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::shared_ptr<grpc::ClientContext> call_ ABSL_GUARDED_BY(mutex_);

  // Subscriber's thread.
  conversion::SnapshotReader reader_;
  context::SnapshotExpectation expected_;
  bool skipping_ = false;  // the rest of a refused snapshot
  std::thread thread_;
};

}  // namespace automot::client
