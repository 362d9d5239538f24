#include "services/planning/planning_loop.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/concurrency/thread_placement.h"
#include "services/planning/session.h"

namespace automot::planning {
namespace {

constexpr double kEwmaWeight = 0.1;
constexpr double kMinTickS = 1e-4;

// Heap order: the earliest deadline on top; equal deadlines in order of arrival.
bool Later(const PlanWork* a, const PlanWork* b) {
  const absl::Duration of_a = std::min(a->deadline, a->order_by);
  const absl::Duration of_b = std::min(b->deadline, b->order_by);
  return of_a != of_b ? of_a > of_b : a->arrival > b->arrival;
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

absl::Status PlanningLoop::Admit(const PlanWork& work, uint32_t pending,
                                 uint32_t pending_of_session, absl::Duration* retry_after) const {
  if (draining_.load()) return absl::UnavailableError("the planning service is draining");
  const double tick_s = std::max(tick_ewma_s_.load(std::memory_order_relaxed), kMinTickS);
  const uint32_t runnable = runnable_.load(std::memory_order_relaxed);
  const absl::Duration left = work.deadline - work.enqueued;
  if (left <= absl::ZeroDuration()) {
    return absl::DeadlineExceededError(
        absl::StrCat("plan ", work.sequence, " came after its deadline"));
  }
  *retry_after = absl::Seconds(tick_s * std::max<uint32_t>(runnable, 1));
  if (pending_of_session >= options_.session_capacity) {
    return absl::ResourceExhaustedError(
        absl::StrCat("session '", work.session->name, "' has ", pending_of_session,
                     " plans without an answer; the limit is ", options_.session_capacity));
  }
  if (pending >= options_.queue_capacity) {
    return absl::ResourceExhaustedError(absl::StrCat(
        pending, " plans are without an answer; the limit is ", options_.queue_capacity));
  }
  // With nothing in front the plan runs whatever ticks took before: only so is a slow spell
  // forgotten.
  const absl::Duration needed = absl::Seconds(tick_s * (runnable + 1));
  if (runnable > 0 && left < needed) {
    return absl::ResourceExhaustedError(absl::StrCat(
        runnable, " plans are in front and need about ", absl::ToInt64Milliseconds(needed),
        " ms; the deadline leaves ", absl::ToInt64Milliseconds(left), " ms"));
  }
  *retry_after = absl::ZeroDuration();
  return absl::OkStatus();
}

absl::Status PlanningLoop::Submit(std::unique_ptr<PlanWork>& work, absl::Duration* retry_after) {
  Session& session = *work->session;
  // Counted first: a drain either sees this plan, or this plan sees the drain.
  const uint32_t pending = pending_.fetch_add(1);
  const uint32_t pending_of_session = session.pending.fetch_add(1, std::memory_order_relaxed);
  work->enqueued = clock_->Now();
  *retry_after = absl::ZeroDuration();
  absl::Status admitted = Admit(*work, pending, pending_of_session, retry_after);
  if (!admitted.ok()) {
    Release(session);
    return admitted;
  }
  runnable_.fetch_add(1, std::memory_order_relaxed);
  // pending_ bounds the arrivals, so a cell is free or becomes free as soon as a pop in progress
  // ends.
  PlanWork* raw = work.release();
  while (!arrivals_.TryPush(raw)) std::this_thread::yield();
  planner_wakeup_.Notify();
  return absl::OkStatus();
}

// The last answer of a drain ends its wait.
void PlanningLoop::Release(Session& session) {
  session.pending.fetch_sub(1, std::memory_order_relaxed);
  if (pending_.fetch_sub(1) == 1 && draining_.load()) {
    const std::lock_guard lock(idle_mutex_);
    idle_.notify_all();
  }
}

bool PlanningLoop::AwaitIdle(absl::Duration timeout) {
  std::unique_lock lock(idle_mutex_);
  return idle_.wait_for(lock, absl::ToChronoMicroseconds(std::min(timeout, absl::Hours(1))),
                        [this] { return pending_.load() == 0; });
}

void PlanningLoop::Poke() {
  poked_.store(true, std::memory_order_release);
  planner_wakeup_.Notify();
}

void PlanningLoop::Drain() {
  draining_.store(true);
  Poke();
}

PlanningLoop::Load PlanningLoop::load() const {
  return {pending_.load(std::memory_order_relaxed), parked_count_.load(std::memory_order_relaxed),
          tick_ewma_s_.load(std::memory_order_relaxed)};
}

void PlanningLoop::PlanningThread() {
  NameThread("planning");
  if (options_.pinned_core >= 0) PinThreadToCore(options_.pinned_core).IgnoreError();
  const auto finished = [this] {
    return stopping_.load(std::memory_order_acquire) && parked_.empty();
  };
  for (;;) {
    TakeArrivals();
    if (RecheckDue()) ResumeParked();
    if (RunNext()) continue;
    if (finished()) return;
    planner_wakeup_.PrepareToSleep();
    TakeArrivals();
    if (!ready_.empty() || recheck_ || poked_.load(std::memory_order_acquire) || finished()) {
      planner_wakeup_.CancelSleep();
      continue;
    }
    planner_wakeup_.Sleep(next_limit_ - clock_->Now());
  }
}

void PlanningLoop::TakeArrivals() {
  PlanWork* work = nullptr;
  while (arrivals_.TryPop(&work)) {
    work->arrival = arrivals_taken_++;
    PushReady(work);
  }
}

void PlanningLoop::PushReady(PlanWork* work) {
  ready_.push_back(work);
  std::push_heap(ready_.begin(), ready_.end(), Later);
}

bool PlanningLoop::RunNext() {
  if (ready_.empty()) return false;
  std::pop_heap(ready_.begin(), ready_.end(), Later);
  PlanWork* work = ready_.back();
  ready_.pop_back();
  RunOne(work);
  return true;
}

bool PlanningLoop::RecheckDue() {
  const bool poked = poked_.exchange(false, std::memory_order_acq_rel);
  const bool asked = std::exchange(recheck_, false);
  return poked || asked || (!parked_.empty() && next_limit_ <= clock_->Now());
}

// Parked plans queue again by deadline, among those that were never parked.
void PlanningLoop::ResumeParked() {
  for (PlanWork* work : parked_) PushReady(work);
  parked_.clear();
  next_limit_ = absl::InfiniteDuration();
}

bool PlanningLoop::Refused(PlanWork& work, absl::Duration now) const {
  if (work.cancelled != nullptr && work.cancelled->load(std::memory_order_acquire)) {
    work.result.failure = PlanFailure::kCancelled;
  } else if (work.deadline <= now) {
    work.result.failure = PlanFailure::kDeadline;
  } else if (work.session->Superseded(work)) {
    work.result.failure = PlanFailure::kSuperseded;
  }
  return work.result.failure != PlanFailure::kNone;
}

void PlanningLoop::RunOne(PlanWork* work) {
  const absl::Duration start = clock_->Now();
  if (Refused(*work, start)) return Answer(work);
  if (!work->parked_at) {
    work->result.queue_s = absl::ToDoubleSeconds(start - work->enqueued);
    // It may supersede one that is parked.
    if (work->session->parked.load(std::memory_order_relaxed) > 0) recheck_ = true;
  }
  const bool may_park = !draining_.load() && start < work->park_limit;
  if (tick_->Run(*work, may_park) == PlanTick::Outcome::kPark) return Park(work, start);
  const absl::Duration end = clock_->Now();
  if (work->parked_at) work->result.parked_s = absl::ToDoubleSeconds(start - *work->parked_at);
  work->result.tick_s = absl::ToDoubleSeconds(end - start);
  const double ewma = tick_ewma_s_.load(std::memory_order_relaxed);
  tick_ewma_s_.store(ewma + kEwmaWeight * (work->result.tick_s - ewma), std::memory_order_relaxed);
  Answer(work);
}

void PlanningLoop::Park(PlanWork* work, absl::Duration now) {
  if (!work->parked_at) {
    work->parked_at = now;
    runnable_.fetch_sub(1, std::memory_order_relaxed);
    parked_count_.fetch_add(1, std::memory_order_relaxed);
    work->session->parked.fetch_add(1, std::memory_order_relaxed);
  }
  parked_.push_back(work);
  next_limit_ = std::min({next_limit_, work->park_limit, work->deadline});
}

void PlanningLoop::Answer(PlanWork* work) {
  if (work->parked_at) {
    parked_count_.fetch_sub(1, std::memory_order_relaxed);
    work->session->parked.fetch_sub(1, std::memory_order_relaxed);
  } else {
    runnable_.fetch_sub(1, std::memory_order_relaxed);
  }
  // Never full: it has room for every accepted plan.
  while (!answers_.TryPush(work)) std::this_thread::yield();
  responder_wakeup_.Notify();
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
    Release(*owned->session);
  }
}

}  // namespace automot::planning
