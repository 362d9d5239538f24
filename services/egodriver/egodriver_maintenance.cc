// The engine's slow work: held starts, idle rollouts, drives to ask for again.
#include <chrono>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/concurrency/thread_placement.h"
#include "services/egodriver/egodriver_engine.h"

namespace automot::egodriver {
namespace {

constexpr std::chrono::milliseconds kPeriod{50};

}  // namespace

void EgodriverEngine::MaintenanceThread() {
  NameThread("egodriver");
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      if (changed_.wait_for(lock, kPeriod,
                            [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return stopping_; })) {
        return;
      }
    }
    Retry(/*last=*/false);
    ExpireIdle();
    AdmitHeld();
  }
}

// Ends the held starts that `judge` has a status for.
void EgodriverEngine::EndHeld(
    const std::function<std::optional<absl::Status>(const Held&)>& judge) {
  std::vector<std::pair<std::function<void(absl::Status)>, absl::Status>> ended;
  {
    const std::lock_guard lock(mutex_);
    for (auto held = held_.begin(); held != held_.end();) {
      std::optional<absl::Status> status = judge(*held);
      if (!status) {
        ++held;
        continue;
      }
      ended.emplace_back(std::move(held->done), *std::move(status));
      held = held_.erase(held);
    }
    ReportCounts();
  }
  for (auto& [done, status] : ended) done(std::move(status));
}

void EgodriverEngine::AdmitHeld() {
  const absl::Duration now = clock_->Now();
  EndHeld([&](const Held& held) -> std::optional<absl::Status> {
    if (held.cancelled != nullptr && held.cancelled->load(std::memory_order_acquire)) {
      return absl::CancelledError("the client cancelled");
    }
    if (now < held.until) return std::nullopt;
    return absl::ResourceExhaustedError(absl::StrCat(
        "no room for another rollout within ", absl::FormatDuration(options_.admission_limit),
        "; the limit is ", options_.rollout_limit, " at once"));
  });
  for (;;) {
    Held first;
    absl::Status status;
    {
      const std::lock_guard lock(mutex_);
      if (held_.empty() || draining()) return;
      bool full = false;
      status = Reserve(held_.front().request, &full);
      if (full) return;
      first = std::move(held_.front());
      held_.pop_front();
      ReportCounts();
    }
    bool engine_full = false;
    if (status.ok()) status = Open(first.request, &engine_full);
    if (engine_full) {  // the planning engine is full: keeps its place
      const std::lock_guard lock(mutex_);
      if (!draining()) return held_.push_front(std::move(first));
    }
    first.done(status);
  }
}

void EgodriverEngine::ExpireIdle() {
  const absl::Duration now = clock_->Now(), lease = engine_->options().session_lease;
  std::vector<std::shared_ptr<Rollout>> idle, alive;
  {
    const std::lock_guard lock(mutex_);
    for (auto place = rollouts_.begin(); place != rollouts_.end();) {
      const auto here = place++;
      const std::shared_ptr<Rollout>& rollout = here->second;
      if (rollout == nullptr) continue;
      if (rollout->drives_in_flight.load() > 0 || now - rollout->last_request() <= lease) {
        alive.push_back(rollout);
        continue;
      }
      idle.push_back(rollout);
      rollouts_.erase(here);
    }
    if (!idle.empty()) ReportCounts();
  }
  for (const std::shared_ptr<Rollout>& rollout : idle) End(rollout, RolloutEnd::kExpired);
  // A rollout that only reports, while the recording drives, keeps its session.
  for (const std::shared_ptr<Rollout>& rollout : alive) {
    engine_->KeepAlive(SessionName(rollout->id()), rollout->lease()).IgnoreError();
  }
}

}  // namespace automot::egodriver
