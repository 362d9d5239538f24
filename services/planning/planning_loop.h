// The planning thread: takes work by earliest deadline, parks what waits on purpose, and hands
// answers to the responder.
//
// Threads: Submit and Poke from any thread; they never wait, and take a lock only while draining.
// The tick runs on the one planning thread; `done` callbacks run on the responder thread, which
// also frees the work, so that neither gRPC nor the heap is touched by the tick.
//
// A parked plan costs the planning thread one look per event (Poke) and keeps its place by
// deadline: resuming it never runs it ahead of a plan that is due earlier.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/concurrency/bounded_queue.h"
#include "common/concurrency/wakeup.h"
#include "common/time/clock.h"
#include "services/planning/plan_work.h"

namespace automot::planning {

// What one tick is. Called on the planning thread only.
class PlanTick {
 public:
  enum class Outcome : uint8_t { kAnswered, kPark };
  virtual ~PlanTick() = default;
  // Fills work.result, or says that the plan waits on purpose. Allocates nothing, takes no lock.
  // `may_park` is false when the plan has waited as long as it may.
  virtual Outcome Run(PlanWork& work, bool may_park) = 0;
};

class PlanningLoop {
 public:
  struct Options {
    uint32_t queue_capacity = 1024;  // accepted plans not answered yet, parked ones included
    uint32_t session_capacity = 32;  // of them of one session
    int pinned_core = -1;            // -1: not pinned
  };
  struct Load {
    uint32_t pending = 0;  // accepted, not answered
    uint32_t parked = 0;
    double tick_ewma_s = 0.0;
  };

  // `tick` and `clock` must outlive the loop.
  PlanningLoop(const Options& options, PlanTick* tick, const Clock* clock);
  ~PlanningLoop();

  // RESOURCE_EXHAUSTED when full, or when the queue in front already needs longer than the deadline
  // allows; `*retry_after` is then set. DEADLINE_EXCEEDED when there is no time left at all.
  // UNAVAILABLE while draining. The work stays the caller's in these cases.
  absl::Status Submit(std::unique_ptr<PlanWork>& work, absl::Duration* retry_after);

  // Looks at parked plans again: a snapshot came, a session was reset, a request was cancelled.
  void Poke();

  // New work is refused with UNAVAILABLE; parked plans are released (answered without waiting on).
  void Drain();
  // Waits until every accepted plan is answered; false after `timeout` of wall time. Drain first.
  bool AwaitIdle(absl::Duration timeout);

  Load load() const;

 private:
  absl::Status Admit(const PlanWork& work, uint32_t pending, uint32_t pending_of_session,
                     absl::Duration* retry_after) const;
  void Release(Session& session);
  void ResponderThread();

  // Planning thread.
  void PlanningThread();
  void TakeArrivals();
  void PushReady(PlanWork* work);
  bool RunNext();
  bool RecheckDue();
  void ResumeParked();
  void Park(PlanWork* work, absl::Duration now);
  void Answer(PlanWork* work);
  bool Refused(PlanWork& work, absl::Duration now) const;
  void RunOne(PlanWork* work);

  const Options options_;
  PlanTick* const tick_;
  const Clock* const clock_;

  BoundedQueue<PlanWork*> arrivals_;
  BoundedQueue<PlanWork*> answers_;
  Wakeup planner_wakeup_;
  Wakeup responder_wakeup_;
  std::atomic<uint32_t> pending_{0};       // accepted, not answered
  std::atomic<uint32_t> runnable_{0};      // of them neither parked nor planned yet
  std::atomic<uint32_t> parked_count_{0};  // of them parked before, not planned yet
  std::atomic<double> tick_ewma_s_{0.0};
  std::atomic<bool> poked_{false};
  std::atomic<bool> draining_{false};
  std::atomic<bool> stopping_{false};

  std::mutex idle_mutex_;  // orders the last answer against AwaitIdle; guards nothing else
  std::condition_variable idle_;

  // Planning thread only; reserved once.
  std::vector<PlanWork*> ready_;  // heap, earliest deadline first
  std::vector<PlanWork*> parked_;
  absl::Duration next_limit_ = absl::InfiniteDuration();  // earliest end of a parked plan's wait
  bool recheck_ = false;
  uint64_t arrivals_taken_ = 0;

  std::thread planner_;
  std::thread responder_;
};

}  // namespace automot::planning
