// A reasoning producer without a model, in the planner's own process: every refresh that is due
// yields a snapshot of the observation's facts, a stated time later. For load and protocol tests.
//
// Refreshes of different sessions take their time side by side, as if every session had a processor
// of its own; within a session one runs at a time and the newest candidate is next (in a lossless
// session the oldest). Thread-safe; receivers are called on the one link thread.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <queue>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "common/context/kv_buffer_pool.h"
#include "common/context/receiver_gate.h"
#include "common/context/snapshot_channel.h"
#include "common/time/clock.h"

namespace automot::synthetic {

struct SyntheticProducerOptions {
  absl::Duration duration;  // of a refresh
  context::ContextLayout layout;
  context::KvBufferPool::Options pool;
};

class SyntheticProducer final : public context::SnapshotChannel {
 public:
  explicit SyntheticProducer(const SyntheticProducerOptions& options);
  ~SyntheticProducer() override;

  // INVALID_ARGUMENT where a quantised element type is asked for.
  absl::Status Attach(const context::AttachRequest& request,
                      context::SnapshotReceiver* receiver) override;
  absl::Status Submit(context::SlowObservationPtr observation) override;
  absl::Status Reset(uint64_t session, uint32_t episode) override;
  void Detach(uint64_t session) override;
  context::Lane lane() const override { return context::Lane::kInProcess; }
  context::LinkStats stats() const override;

 private:
  struct Attachment;
  struct Event {
    absl::Duration due;  // wall monotonic
    uint64_t order = 0;  // ties: first come
    std::shared_ptr<Attachment> attachment;
    context::SlowObservationPtr observation;  // null: the attachment is to be announced
    bool operator<(const Event& other) const {
      return due != other.due ? due > other.due : order > other.order;
    }
  };

  void Add(absl::Duration wait, std::shared_ptr<Attachment> attachment,
           context::SlowObservationPtr observation) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void LinkThread();
  void Run(const Event& event);
  void Publish(Attachment& attachment, const context::SlowObservation& observation);
  void StartNext(const std::shared_ptr<Attachment>& attachment);
  std::shared_ptr<context::ContextSnapshot> Make(Attachment& attachment,
                                                 const context::SlowObservation& observation);

  const SyntheticProducerOptions options_;
  const MonotonicClock clock_;
  context::KvBufferPool pool_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::unordered_map<uint64_t, std::shared_ptr<Attachment>> attached_ ABSL_GUARDED_BY(mutex_);
  std::priority_queue<Event> events_ ABSL_GUARDED_BY(mutex_);
  uint64_t next_order_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  context::LinkStats stats_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;  // last: it uses the members above
};

}  // namespace automot::synthetic
