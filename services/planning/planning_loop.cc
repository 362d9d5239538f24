#include "services/planning/planning_loop.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/concurrency/thread_placement.h"
#include "common/status/status_macros.h"
#include "services/planning/session.h"

namespace automot::planning {
namespace {

constexpr absl::Duration kShortestRetry = absl::Microseconds(100);
constexpr std::size_t kManyAccounts = 1024;

// The plan's place in the order of deadlines.
absl::Duration OrderOf(const PlanWork& work) { return std::min(work.deadline, work.order_by); }

// Heap order: the earliest deadline on top; equal deadlines in order of arrival.
bool Later(const PlanWork* a, const PlanWork* b) {
  const absl::Duration of_a = OrderOf(*a), of_b = OrderOf(*b);
  return of_a != of_b ? of_a > of_b : a->arrival > b->arrival;
}

}  // namespace

PlanningLoop::PlanningLoop(const Options& options, PlanTick* tick, const Clock* clock)
    : options_(options),
      tick_(tick),
      clock_(clock),
      arrivals_(options.queue_capacity),
      answers_(options.queue_capacity),
      costs_(options.max_batch),
      demand_({}) {
  ready_.reserve(options.queue_capacity);
  parked_.reserve(options.queue_capacity);
  batch_.reserve(BatchCosts::kLargestBatch);
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

absl::Status PlanningLoop::CheckRoom(const PlanWork& work, const Admission& admission) const {
  if (draining_.load()) return absl::UnavailableError("the planning service is draining");
  if (work.deadline <= work.enqueued) {
    return absl::DeadlineExceededError(
        absl::StrCat("plan ", work.sequence, " came after its deadline"));
  }
  if (admission.pending_of_session >= options_.session_capacity) {
    return absl::ResourceExhaustedError(
        absl::StrCat("session '", work.session->name, "' has ", admission.pending_of_session,
                     " plans without an answer; the limit is ", options_.session_capacity));
  }
  if (admission.pending >= options_.queue_capacity) {
    return absl::ResourceExhaustedError(absl::StrCat(
        admission.pending, " plans are without an answer; the limit is ", options_.queue_capacity));
  }
  return absl::OkStatus();
}

// With nothing accepted the plan runs whatever runs took before: only so is a slow spell forgotten.
absl::Status PlanningLoop::CheckDeadline(const PlanWork& work, Admission& admission) const {
  if (!work.place.firm || runnable_.load(std::memory_order_relaxed) == 0) return absl::OkStatus();
  const absl::Duration now = work.enqueued;
  const absl::Duration free_at = absl::Nanoseconds(free_at_ns_.load(std::memory_order_relaxed));
  const DeadlineDemand::Verdict verdict =
      demand_.Test(now, free_at, work.place, work.deadline, costs_);
  if (verdict.fits) return absl::OkStatus();
  admission.retry_after = std::max(verdict.missing, costs_.BestCost());
  const int64_t running = free_at > now ? 1 : 0;
  if (verdict.breaks_another) {
    return absl::ResourceExhaustedError(
        absl::StrCat("with it a plan that was accepted before would end ",
                     absl::ToInt64Milliseconds(absl::Ceil(verdict.missing, absl::Milliseconds(1))),
                     " ms after its deadline"));
  }
  return absl::ResourceExhaustedError(
      absl::StrCat(verdict.ahead + running, " plans are in front and need about ",
                   absl::ToInt64Milliseconds(verdict.needed), " ms; the deadline leaves ",
                   absl::ToInt64Milliseconds(work.deadline - now), " ms"));
}

absl::Status PlanningLoop::CheckShares(const PlanWork& work, Admission& admission) const {
  const absl::Duration each = costs_.BestCost();
  if (!work.place.firm || each == absl::ZeroDuration()) return absl::OkStatus();
  absl::Duration rest;
  const int64_t fitting = absl::IDivDuration(work.deadline - work.enqueued, each, &rest);
  const int64_t waiting = runnable_.load(std::memory_order_relaxed);
  admission.retry_after = each;
  if (!clients_.Allows(*work.session->client_account, waiting, fitting)) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "client '", work.session->client, "' has ", work.session->client_account->waiting.load(),
        " plans waiting; its share of a queue of ", fitting, " is ", clients_.Share(fitting)));
  }
  if (!vehicles_.Allows(work.session->account, waiting, fitting)) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "session '", work.session->name, "' has ", work.session->account.waiting.load(),
        " plans waiting; its share of a queue of ", fitting, " is ", vehicles_.Share(fitting)));
  }
  return absl::OkStatus();
}

// Asked once a session. Bounded by the sessions, but for accounts that have nothing to remember;
// one is kept beyond its last session, so that a client that opens one after the other asks as one.
std::shared_ptr<FairShares::Account> PlanningLoop::AccountOf(const std::string& client) {
  if (accounts_.size() >= kManyAccounts) {
    absl::erase_if(accounts_, [](const auto& entry) { return entry.second.use_count() == 1; });
  }
  std::shared_ptr<FairShares::Account>& account = accounts_[client];
  if (account == nullptr) account = std::make_shared<FairShares::Account>();
  return account;
}

absl::Status PlanningLoop::Admit(PlanWork& work, Admission& admission) {
  const std::lock_guard lock(admission_mutex_);
  work.enqueued = clock_->Now();
  admission.retry_after = std::max(costs_.BestCost(), kShortestRetry);
  AUTOMOT_RETURN_IF_ERROR(CheckRoom(work, admission));
  const bool firm = work.deadline < absl::InfiniteDuration() && work.deadline <= work.order_by;
  work.place = demand_.PlaceOf(work.enqueued, OrderOf(work), firm);
  Session& session = *work.session;
  if (session.client_account == nullptr) session.client_account = AccountOf(session.client);
  clients_.Note(*session.client_account, work.enqueued);
  vehicles_.Note(session.account, work.enqueued);
  AUTOMOT_RETURN_IF_ERROR(CheckDeadline(work, admission));
  AUTOMOT_RETURN_IF_ERROR(CheckShares(work, admission));
  runnable_.fetch_add(1, std::memory_order_relaxed);
  BeginWaiting(work);
  return absl::OkStatus();
}

void PlanningLoop::BeginWaiting(PlanWork& work) {
  work.waits = true;
  demand_.Add(work.place);
  work.session->client_account->waiting.fetch_add(1, std::memory_order_relaxed);
  work.session->account.waiting.fetch_add(1, std::memory_order_relaxed);
}

void PlanningLoop::EndWaiting(PlanWork& work) {
  if (!std::exchange(work.waits, false)) return;
  demand_.Remove(work.place);
  work.session->client_account->waiting.fetch_sub(1, std::memory_order_relaxed);
  work.session->account.waiting.fetch_sub(1, std::memory_order_relaxed);
}

absl::Status PlanningLoop::Submit(std::unique_ptr<PlanWork>& work, absl::Duration* retry_after) {
  Session& session = *work->session;
  // Counted first: a drain either sees this plan, or this plan sees the drain.
  Admission admission;
  admission.pending = pending_.fetch_add(1);
  admission.pending_of_session = session.pending.fetch_add(1, std::memory_order_relaxed);
  const absl::Status admitted = Admit(*work, admission);
  *retry_after = absl::IsResourceExhausted(admitted) ? admission.retry_after : absl::ZeroDuration();
  if (!admitted.ok()) {
    Release(session);
    return admitted;
  }
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
          absl::ToDoubleSeconds(costs_.BestCost()), runs_.load(std::memory_order_relaxed)};
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

PlanWork* PlanningLoop::PopReady() {
  std::pop_heap(ready_.begin(), ready_.end(), Later);
  PlanWork* work = ready_.back();
  ready_.pop_back();
  return work;
}

// A session's plans follow one another: each starts from what the one before left.
void PlanningLoop::FormBatch(absl::Duration now) {
  const int waiting = static_cast<int>(std::min<std::size_t>(ready_.size() + 1, 1U << 16U));
  const auto size = static_cast<std::size_t>(costs_.Choose(waiting, OrderOf(*batch_[0]) - now));
  while (batch_.size() < size && !ready_.empty()) {
    const Session* session = ready_.front()->session.get();
    const auto same = [session](const PlanWork* work) { return work->session.get() == session; };
    if (std::any_of(batch_.begin(), batch_.end(), same)) return;
    PlanWork* work = PopReady();
    if (Refused(*work, now)) {
      Answer(work);
    } else {
      batch_.push_back(work);
    }
  }
}

bool PlanningLoop::RunNext() {
  if (ready_.empty()) return false;
  const absl::Duration now = clock_->Now();
  PlanWork* first = PopReady();
  if (Refused(*first, now)) {
    Answer(first);
    return true;
  }
  batch_.assign(1, first);
  if (costs_.max_batch() > 1) FormBatch(now);
  RunBatch(now);
  return true;
}

bool PlanningLoop::RecheckDue() {
  const bool poked = poked_.exchange(false, std::memory_order_acq_rel);
  const bool asked = std::exchange(recheck_, false);
  return poked || asked || (!parked_.empty() && next_limit_ <= clock_->Now());
}

// Parked plans queue again by deadline, among those that were never parked.
void PlanningLoop::ResumeParked() {
  for (PlanWork* work : parked_) {
    BeginWaiting(*work);
    PushReady(work);
  }
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

void PlanningLoop::RunBatch(absl::Duration start) {
  std::array<bool, BatchCosts::kLargestBatch> may_park{};
  std::array<PlanTick::Outcome, BatchCosts::kLargestBatch> outcomes{};
  const std::size_t size = batch_.size();
  for (std::size_t i = 0; i < size; ++i) {
    PlanWork& work = *batch_[i];
    EndWaiting(work);
    if (!work.parked_at) {
      work.result.queue_s = absl::ToDoubleSeconds(start - work.enqueued);
      // It may supersede one that is parked.
      if (work.session->parked.load(std::memory_order_relaxed) > 0) recheck_ = true;
    }
    may_park.at(i) = !draining_.load() && start < work.park_limit;
  }
  const absl::Duration expected = start + costs_.Cost(static_cast<int>(size));
  free_at_ns_.store(absl::ToInt64Nanoseconds(expected), std::memory_order_relaxed);
  tick_->RunBatch(batch_, absl::MakeConstSpan(may_park).first(size),
                  absl::MakeSpan(outcomes).first(size));
  const absl::Duration end = clock_->Now();
  free_at_ns_.store(0, std::memory_order_relaxed);
  int answered = 0;
  for (std::size_t i = 0; i < size; ++i) {
    PlanWork& work = *batch_[i];
    if (outcomes.at(i) == PlanTick::Outcome::kPark) {
      Park(&work, start);
      continue;
    }
    if (work.parked_at) work.result.parked_s = absl::ToDoubleSeconds(start - *work.parked_at);
    work.result.tick_s = absl::ToDoubleSeconds(end - start);
    ++answered;
    Answer(&work);
  }
  if (answered == 0) return;
  costs_.Observe(answered, end - start);
  runs_.fetch_add(1, std::memory_order_relaxed);
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
  EndWaiting(*work);
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
