// One thread that runs everything of the gRPC snapshot lane: completions of its calls, timers, and
// work posted to it. So links need no locks among themselves, and nothing of the lane runs on the
// threads that serve trajectories.
#pragma once

#include <grpcpp/alarm.h>
#include <grpcpp/completion_queue.h>

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace automot::planning {

// What a completion runs; owned by the completion.
using Completion = std::function<void(bool ok)>;

class CompletionThread {
 public:
  explicit CompletionThread(int nice_value);
  // Runs until every operation begun has completed. Begin none from now on but what these
  // completions begin before Stop.
  ~CompletionThread();

  // A tag for one operation on queue().
  static void* Tag(Completion completion) { return new Completion(std::move(completion)); }

  // Runs `work` on the thread, soon, in the order of posting. Thread-safe. Nothing after Stop.
  void Post(std::function<void()> work);

  // Runs `work` once, on the thread, after `delay`, unless cancelled. On the thread only.
  class Timer {
   public:
    ~Timer() { Cancel(); }
    void Set(CompletionThread& thread, absl::Duration delay, std::function<void()> work);
    void Cancel();

   private:
    struct State;
    std::shared_ptr<State> state_;
  };

  // No operation may begin any more; pending ones complete, with ok = false where they were
  // cancelled. On the thread only.
  void Stop();
  // Returns when the thread has run its last completion; Stop must have been called or posted.
  void Join();
  bool stopped() const { return stopped_.load(std::memory_order_acquire); }

  grpc::CompletionQueue* queue() { return &queue_; }

 private:
  void Main(int nice_value);
  void RunPosted();

  grpc::CompletionQueue queue_;
  absl::Mutex mutex_;
  std::deque<std::function<void()>> posted_ ABSL_GUARDED_BY(mutex_);
  std::atomic<bool> stopped_{false};
  std::thread thread_;
};

}  // namespace automot::planning
