// One vehicle of a load test: sends its ticks at their intended starts, does what chaos says, and
// judges each answer. Runs on a thread of its own; tally() from any thread.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "tools/loadgen/answer_check.h"
#include "tools/loadgen/cancel_timer.h"
#include "tools/loadgen/chaos.h"
#include "tools/loadgen/load_profile.h"
#include "tools/loadgen/payload.h"
#include "tools/loadgen/plan_transport.h"
#include "tools/loadgen/tally.h"
#include "tools/loadgen/vehicle_session.h"

namespace automot::loadgen {

enum class Mode : uint8_t { kUnary, kStream };

struct VehicleOptions {
  std::string name;
  uint64_t index = 0;
  Mode mode = Mode::kUnary;
  TickSchedule::Options schedule;
  absl::Duration warm_up;                             // ticks before are not measured
  absl::Duration end;                                 // of the run; from its start
  absl::Duration deadline = absl::Milliseconds(100);  // of a tick, from its intended start
  automot::v1::SessionOptions session;
  ChaosOptions chaos;
};

// What the vehicles of a run share. Outlives them.
struct RunShared {
  const TargetOptions* target = nullptr;
  CancelTimer* timer = nullptr;
  std::atomic<int64_t> ticks_left{0};  // of all vehicles together
  std::atomic<bool> stop{false};
};

class Vehicle {
 public:
  Vehicle(const VehicleOptions& options, std::unique_ptr<Payload> payload, RunShared* shared);

  // Opens the session, so that the run begins with open ones. A failure is met again by the run.
  void Prepare();
  // Until the run's end. `start`: wall.
  void Run(absl::Time start);

  Tally tally() const;

 private:
  struct PendingTick {
    SentTick sent;
    absl::Time intended, sent_at;
    bool measured = false;
    bool given_up = false;  // on purpose
    grpc::StatusCode expected = grpc::OK;
  };

  bool EnsureOpen();
  void Tick(absl::Time intended, bool measured);
  void Act(ChaosAct act, PendingTick* tick, TickOrder* order);
  int64_t CaptureTime(absl::Time intended);
  void StartEpisode();
  void OnEnd(const TickEnd& end);
  void OnAnswer(const PendingTick& tick, const automot::v1::PlanResponse& answer);
  Outcome Judge(const PendingTick& tick, const TickEnd& end, absl::Time now);
  void Count(Outcome outcome, bool measured);
  void CountFailure(const std::string& what, bool measured);

  const VehicleOptions options_;
  const std::unique_ptr<Payload> payload_;
  RunShared* const shared_;
  VehicleSession session_;
  TickSchedule schedule_;
  Chaos chaos_;
  AnswerCheck check_;
  std::unique_ptr<PlanTransport> transport_;
  std::map<uint64_t, PendingTick> pending_;  // by sequence
  absl::Time start_;
  absl::Duration skew_;            // of the vehicle's clock
  int64_t last_capture_us_ = -1;   // newest sent in this episode
  int64_t last_answered_us_ = -1;  // newest answered in this episode
  bool first_ = true;              // nothing of this episode has been answered yet
  int unread_ticks_ = 0;           // chaos: that many more answers are left unread

  mutable std::mutex mutex_;
  Tally tally_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace automot::loadgen
