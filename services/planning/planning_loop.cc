#include "services/planning/planning_loop.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/concurrency/thread_placement.h"
#include "services/planning/session.h"

namespace automot::planning {
namespace {

constexpr double kEwmaWeight = 0.1;

// Heap order: the earliest deadline on top; equal deadlines in order of arrival.
bool Later(const PlanWork* a, const PlanWork* b) {
  return a->deadline != b->deadline ? a->deadline > b->deadline : a->enqueued > b->enqueued;
}

}  // namespace

PlanningLoop::PlanningLoop(const Options& options, PlanTick* tick, const Clock* clock)
    : options_(options),
      tick_(tick),
      clock_(clock),
      arrivals_(options.queue_capacity),
      answers_(options.queue_capacity) {
  ready_.reserve(options.queue_capacity);
  parked_.reserve(options.queue_capacity);
  responder_ = std::thread([this] { ResponderThread(); });
  planner_ = std::thread([this] { PlanningThread(); });
}

PlanningLoop::~PlanningLoop() {
  Drain();
  stopping_.store(true, std::memory_order_release);
  planner_wakeup_.Notify();
  planner_.join();
  responder_wakeup_.Notify();
  responder_.join();
}

absl::Status PlanningLoop::Submit(std::unique_ptr<PlanWork>& work, absl::Duration* retry_after) {
  if (draining_.load(std::memory_order_acquire)) {
    return absl::UnavailableError("the planning service is draining");
  }
  const uint32_t ahead = pending_.fetch_add(1, std::memory_order_acq_rel);
  const double tick_s = std::max(tick_ewma_s_.load(std::memory_order_relaxed), 1e-4);
  const uint32_t runnable = ahead - std::min(ahead, parked_count_.load(std::memory_order_relaxed));
  const absl::Duration needed = absl::Seconds(tick_s * (runnable + 1));
  const absl::Duration now = clock_->Now();
  work->enqueued = now;
  if (ahead >= options_.queue_capacity || work->deadline < now + needed) {
    pending_.fetch_sub(1, std::memory_order_acq_rel);
    *retry_after = absl::Seconds(tick_s * std::max<uint32_t>(runnable, 1));
    return absl::ResourceExhaustedError(absl::StrCat(
        ahead, " plans are accepted already (limit ", options_.queue_capacity, ") and need about ",
        absl::ToInt64Milliseconds(needed), " ms; the deadline leaves ",
        absl::ToInt64Milliseconds(work->deadline - now), " ms"));
  }
  // pending_ bounds the arrivals, so a cell is free or becomes free as soon as a pop in progress
  // ends.
  PlanWork* raw = work.release();
  while (!arrivals_.TryPush(raw)) std::this_thread::yield();
  planner_wakeup_.Notify();
  return absl::OkStatus();
}

void PlanningLoop::Poke() {
  poked_.store(true, std::memory_order_release);
  planner_wakeup_.Notify();
}

void PlanningLoop::Drain() {
  draining_.store(true, std::memory_order_release);
  Poke();
}

PlanningLoop::Load PlanningLoop::load() const {
  return {pending_.load(std::memory_order_relaxed), parked_count_.load(std::memory_order_relaxed),
          tick_ewma_s_.load(std::memory_order_relaxed)};
}

void PlanningLoop::PlanningThread() {
  NameThread("planning");
  if (options_.pinned_core >= 0) PinThreadToCore(options_.pinned_core).IgnoreError();
  for (;;) {
    TakeArrivals();
    if (poked_.exchange(false, std::memory_order_acq_rel)) RecheckParked();
    if (RunNext()) continue;
    if (stopping_.load(std::memory_order_acquire) && parked_.empty()) return;
    planner_wakeup_.PrepareToSleep();
    TakeArrivals();
    if (!ready_.empty() || poked_.load(std::memory_order_acquire) ||
        (stopping_.load(std::memory_order_acquire) && parked_.empty())) {
      planner_wakeup_.CancelSleep();
      continue;
    }
    planner_wakeup_.Sleep(NextParkLimit() - clock_->Now());
    if (NextParkLimit() <= clock_->Now()) RecheckParked();
  }
}

void PlanningLoop::TakeArrivals() {
  PlanWork* work = nullptr;
  while (arrivals_.TryPop(&work)) {
    ready_.push_back(work);
    std::push_heap(ready_.begin(), ready_.end(), Later);
  }
}

bool PlanningLoop::RunNext() {
  if (ready_.empty()) return false;
  std::pop_heap(ready_.begin(), ready_.end(), Later);
  PlanWork* work = ready_.back();
  ready_.pop_back();
  RunOne(work, /*may_park=*/!draining_.load(std::memory_order_acquire));
  return true;
}

void PlanningLoop::RecheckParked() {
  const absl::Duration now = clock_->Now();
  const bool release = draining_.load(std::memory_order_acquire);
  // RunOne may park a plan again: it is then appended behind `count` and kept.
  const size_t count = parked_.size();
  for (size_t i = 0; i < count; ++i) {
    PlanWork* work = parked_[i];
    RunOne(work, /*may_park=*/!release && now < work->park_limit);
  }
  parked_.erase(parked_.begin(), parked_.begin() + static_cast<std::ptrdiff_t>(count));
  parked_count_.store(static_cast<uint32_t>(parked_.size()), std::memory_order_relaxed);
}

bool PlanningLoop::Refused(PlanWork& work, absl::Duration now) {
  if (work.cancelled != nullptr && work.cancelled->load(std::memory_order_acquire)) {
    work.result.failure = PlanFailure::kCancelled;
  } else if (work.deadline <= now) {
    work.result.failure = PlanFailure::kDeadline;
  } else if (work.session->Superseded(work)) {
    work.result.failure = PlanFailure::kSuperseded;
  }
  return work.result.failure != PlanFailure::kNone;
}

void PlanningLoop::RunOne(PlanWork* work, bool may_park) {
  const absl::Duration start = clock_->Now();
  if (Refused(*work, start)) return Answer(work);
  if (!work->parked_at) work->result.queue_s = absl::ToDoubleSeconds(start - work->enqueued);
  if (tick_->Run(*work, may_park) == PlanTick::Outcome::kPark) {
    if (!work->parked_at) {
      work->parked_at = start;
      work->session->parked.fetch_add(1, std::memory_order_relaxed);
    }
    parked_.push_back(work);
    parked_count_.store(static_cast<uint32_t>(parked_.size()), std::memory_order_relaxed);
    return;
  }
  const absl::Duration end = clock_->Now();
  if (work->parked_at) work->result.parked_s = absl::ToDoubleSeconds(start - *work->parked_at);
  work->result.tick_s = absl::ToDoubleSeconds(end - start);
  const double ewma = tick_ewma_s_.load(std::memory_order_relaxed);
  tick_ewma_s_.store(ewma + kEwmaWeight * (work->result.tick_s - ewma), std::memory_order_relaxed);
  Answer(work);
}

void PlanningLoop::Answer(PlanWork* work) {
  if (work->parked_at) work->session->parked.fetch_sub(1, std::memory_order_relaxed);
  // Never full: it has room for every accepted plan.
  while (!answers_.TryPush(work)) std::this_thread::yield();
  responder_wakeup_.Notify();
}

absl::Duration PlanningLoop::NextParkLimit() const {
  absl::Duration next = absl::InfiniteDuration();
  for (const PlanWork* work : parked_) next = std::min({next, work->park_limit, work->deadline});
  return next;
}

void PlanningLoop::ResponderThread() {
  NameThread("responder");
  for (;;) {
    PlanWork* work = nullptr;
    if (!answers_.TryPop(&work)) {
      responder_wakeup_.PrepareToSleep();
      if (!answers_.TryPop(&work)) {
        if (stopping_.load(std::memory_order_acquire) &&
            pending_.load(std::memory_order_acquire) == 0)
          return;
        responder_wakeup_.Sleep(absl::Milliseconds(100));
        continue;
      }
      responder_wakeup_.CancelSleep();
    }
    const std::unique_ptr<PlanWork> owned(work);
    owned->done(*owned);
    pending_.fetch_sub(1, std::memory_order_acq_rel);
  }
}

}  // namespace automot::planning
