// The planning thread: takes work by earliest deadline, alone or in batches, parks what waits on
// purpose, and hands answers to the responder. What cannot be done in time is refused before it is
// accepted (scheduling/deadline_demand.h); a batch is formed of what waits where all in it still
// keep their deadlines (common/scheduling/batch_costs.h).
//
// Threads: Submit and Poke from any thread. Those who submit take turns under a mutex for the
// microseconds of the admission test; the planning thread never takes it. The tick runs on the one
// planning thread; `done` callbacks run on the responder thread, which also frees the work, so that
// neither gRPC nor the heap is touched by the tick.
//
// A parked plan costs the planning thread one look per event (Poke) and keeps its place by
// deadline: resuming it never runs it ahead of a plan that is due earlier.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/concurrency/bounded_queue.h"
#include "common/concurrency/wakeup.h"
#include "common/scheduling/batch_costs.h"
#include "common/time/clock.h"
#include "services/planning/plan_work.h"
#include "services/planning/scheduling/deadline_demand.h"
#include "services/planning/scheduling/fair_shares.h"

namespace automot::planning {

// What one tick is. Called on the planning thread only.
class PlanTick {
 public:
  enum class Outcome : uint8_t { kAnswered, kPark };
  virtual ~PlanTick() = default;
  // Fills work.result, or says that the plan waits on purpose. Allocates nothing, takes no lock.
  // `may_park` is false when the plan has waited as long as it may.
  virtual Outcome Run(PlanWork& work, bool may_park) = 0;
  // The same for plans of different sessions, of which the expert may make one run. All spans have
  // one length, at most Options::max_batch.
  virtual void RunBatch(absl::Span<PlanWork* const> works, absl::Span<const bool> may_park,
                        absl::Span<Outcome> outcomes) {
    for (std::size_t i = 0; i < works.size(); ++i) outcomes[i] = Run(*works[i], may_park[i]);
  }
};

class PlanningLoop {
 public:
  struct Options {
    uint32_t queue_capacity = 1024;  // accepted plans not answered yet, parked ones included
    uint32_t session_capacity = 32;  // of them of one session
    int pinned_core = -1;            // -1: not pinned
    int max_batch = 1;               // plans of one run; BatchCosts::kLargestBatch at most
  };
  struct Load {
    uint32_t pending = 0;  // accepted, not answered
    uint32_t parked = 0;
    double plan_cost_s = 0.0;  // longest time per plan of late, in the best size of batch
    uint64_t runs = 0;         // of one plan or of several, since the start
  };

  // `tick` and `clock` must outlive the loop.
  PlanningLoop(const Options& options, PlanTick* tick, const Clock* clock);
  ~PlanningLoop();

  // RESOURCE_EXHAUSTED when full, when the plan or one accepted before would end too late, or when
  // the session's client or the session has its share of a full queue; `*retry_after` is then set.
  // DEADLINE_EXCEEDED when there is no time left at all.
  // UNAVAILABLE while draining. The work stays the caller's in these cases.
  absl::Status Submit(std::unique_ptr<PlanWork>& work, absl::Duration* retry_after);

  // Looks at parked plans again: a snapshot came, a session was reset, a request was cancelled.
  void Poke();

  // New work is refused with UNAVAILABLE; parked plans are released (answered without waiting on).
  void Drain();
  // Waits until every accepted plan is answered; false after `timeout` of wall time. Drain first.
  bool AwaitIdle(absl::Duration timeout);

  Load load() const;

  // What a run took before it serves, so that the first deadlines are judged by something. Before
  // anything is submitted.
  void ExpectCost(int batch, absl::Duration took) { costs_.Observe(batch, took); }

 private:
  struct Admission {
    uint32_t pending = 0;             // accepted ones, this one not counted
    uint32_t pending_of_session = 0;  // of them
    absl::Duration retry_after;       // set where refused
  };
  absl::Status Admit(PlanWork& work, Admission& admission) ABSL_LOCKS_EXCLUDED(admission_mutex_);
  absl::Status CheckRoom(const PlanWork& work, const Admission& admission) const;
  absl::Status CheckDeadline(const PlanWork& work, Admission& admission) const;
  absl::Status CheckShares(const PlanWork& work, Admission& admission) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(admission_mutex_);
  std::shared_ptr<FairShares::Account> AccountOf(const std::string& client)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(admission_mutex_);
  void BeginWaiting(PlanWork& work);
  void EndWaiting(PlanWork& work);
  void Release(Session& session);
  void ResponderThread();

  // Planning thread.
  void PlanningThread();
  void TakeArrivals();
  void PushReady(PlanWork* work);
  PlanWork* PopReady();
  bool RunNext();
  void FormBatch(absl::Duration now);
  bool RecheckDue();
  void ResumeParked();
  void Park(PlanWork* work, absl::Duration now);
  void Answer(PlanWork* work);
  bool Refused(PlanWork& work, absl::Duration now) const;
  void RunBatch(absl::Duration start);

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
  std::atomic<uint64_t> runs_{0};
  std::atomic<int64_t> free_at_ns_{0};  // when the run in progress should end
  std::atomic<bool> poked_{false};
  std::atomic<bool> draining_{false};
  std::atomic<bool> stopping_{false};

  BatchCosts costs_;
  DeadlineDemand demand_;
  std::mutex admission_mutex_;
  FairShares clients_ ABSL_GUARDED_BY(admission_mutex_);
  FairShares vehicles_ ABSL_GUARDED_BY(admission_mutex_);
  absl::flat_hash_map<std::string, std::shared_ptr<FairShares::Account>> accounts_
      ABSL_GUARDED_BY(admission_mutex_);

  std::mutex idle_mutex_;  // orders the last answer against AwaitIdle; guards nothing else
  std::condition_variable idle_;

  // Planning thread only; reserved once.
  std::vector<PlanWork*> ready_;  // heap, earliest deadline first
  std::vector<PlanWork*> parked_;
  std::vector<PlanWork*> batch_;
  absl::Duration next_limit_ = absl::InfiniteDuration();  // earliest end of a parked plan's wait
  bool recheck_ = false;
  uint64_t arrivals_taken_ = 0;

  std::thread planner_;
  std::thread responder_;
};

}  // namespace automot::planning
