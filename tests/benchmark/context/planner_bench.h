// One planner with two vehicles: one whose contexts are published here, 4 KiB each, and one whose
// contexts of 147 MB arrive over a channel.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <semaphore>
#include <string>
#include <vector>

#include "common/context/kv_buffer_pool.h"
#include "common/context/snapshot_channel.h"
#include "common/time/clock.h"
#include "services/planning/plan_pipeline.h"
#include "services/planning/planning_loop.h"

namespace automot::benchmarks {

enum class PlannerArm { kNone, kPublishes, kTransfer };

// Of each tick, microseconds.
struct TickTimes {
  std::vector<double> latency_us;   // plan submitted to result filled
  std::vector<double> tick_us;      // on the planning thread, wall time
  std::vector<double> tick_cpu_us;  // and its processor time
  int published = 0, arrived = 0, fallbacks = 0;
};

// One thread uses it.
class PlannerBench final : private context::SnapshotReceiver {
 public:
  // Attaches `channel`'s session at once. Throws std::runtime_error where that fails.
  PlannerBench(std::unique_ptr<context::SnapshotChannel> channel, int core);
  ~PlannerBench() override;

  TickTimes Run(PlannerArm arm, int ticks);

 private:
  class Expert;
  class TimedTick;

  void OnSnapshot(context::SnapshotPtr snapshot) override;
  void OnRefreshFailed(uint64_t session, SessionTimeUs capture_time_us,
                       const absl::Status& why) override;
  void OnLinkState(context::LinkState state, const absl::Status& why) override;

  std::shared_ptr<planning::Session> OpenSession(uint64_t key);
  void PublishSmall();
  void PublishEveryMillisecond(const std::atomic<bool>& done);
  void Store(const planning::Session& session, context::SnapshotPtr snapshot);
  void AskForSnapshot();
  void BeginTransfer();
  void EndTransfer();
  // One plan from submission to answer; when it was submitted.
  int64_t Plan(const std::shared_ptr<planning::Session>& session, int tick);

  const MonotonicClock clock_;
  context::KvBufferPool pool_{{}};
  std::unique_ptr<Expert> expert_;
  planning::PlanningMetrics metrics_;
  std::unique_ptr<planning::ContextStore> store_;
  std::unique_ptr<planning::PlanPipeline> pipeline_;
  std::shared_ptr<planning::Session> small_, large_;
  uint64_t small_version_ = 0;
  std::unique_ptr<TimedTick> timed_;
  std::binary_semaphore answered_{0};
  std::unique_ptr<planning::PlanningLoop> loop_;

  std::mutex mutex_;
  std::condition_variable changed_;
  bool up_ = false, transferring_ = false;
  int asked_ = 0, arrived_ = 0;  // of the transfer
  absl::Status failure_;

  std::unique_ptr<context::SnapshotChannel> channel_;  // last: it calls the receiver
};

}  // namespace automot::benchmarks
