#include "tools/loadgen/vehicle.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "tools/synthetic/plan_proof.h"

namespace automot::loadgen {
namespace {

namespace v1 = automot::v1;

constexpr absl::Duration kLongestCancel = absl::Milliseconds(20);
constexpr absl::Duration kLongestSkew = absl::Seconds(3);  // two and more are a jump in time
constexpr int kMostUnread = 12;                            // answers that a slow reader leaves
constexpr int64_t kPastUs = 1'000;

std::string CodeName(grpc::StatusCode code) {
  return absl::StatusCodeToString(static_cast<absl::StatusCode>(code));
}

std::string ReasonName(int reason) {
  const std::string name = v1::Reason_Name(static_cast<v1::Reason>(reason));
  return name.substr(name.find('_') + 1);
}

}  // namespace

Vehicle::Vehicle(const VehicleOptions& options, std::unique_ptr<Payload> payload, RunShared* shared)
    : options_(options),
      payload_(std::move(payload)),
      shared_(shared),
      session_(shared->target, options.name, options.session),
      schedule_(options.schedule),
      chaos_(options.chaos, options.index),
      check_(options.name),
      transport_(options.mode == Mode::kUnary ? UnaryTransport(&session_, shared->timer)
                                              : StreamTransport(&session_, shared->timer)) {}

void Vehicle::Prepare() { EnsureOpen(); }

void Vehicle::Run(absl::Time start) {
  start_ = start;
  for (;;) {
    const absl::Duration at = schedule_.Next();
    if (at >= options_.end) break;
    absl::SleepFor(start + at - absl::Now());
    if (shared_->stop.load(std::memory_order_relaxed)) break;
    if (shared_->ticks_left.fetch_sub(1, std::memory_order_relaxed) <= 0) break;
    Tick(start + at, at >= options_.warm_up);
  }
  transport_->Finish([this](const TickEnd& end) { OnEnd(end); });
}

Tally Vehicle::tally() const {
  const std::lock_guard lock(mutex_);
  return tally_;
}

bool Vehicle::EnsureOpen() {
  if (session_.open()) return true;
  transport_->Finish([this](const TickEnd& end) { OnEnd(end); });
  bool fresh = false;
  const absl::Status status = session_.EnsureOpen(&fresh);
  if (!status.ok()) {
    CountFailure(absl::StrCat("open: ", absl::StatusCodeToString(status.code())), true);
    return false;
  }
  if (fresh) check_.Forget();
  StartEpisode();
  return true;
}

void Vehicle::StartEpisode() {
  first_ = true;
  last_answered_us_ = -1;
}

int64_t Vehicle::CaptureTime(absl::Time intended) {
  const int64_t time_us = absl::ToInt64Microseconds(intended - start_ + skew_);
  return std::max(time_us, last_capture_us_ + 1);
}

void Vehicle::Tick(absl::Time intended, bool measured) {
  if (absl::Now() >= intended + options_.deadline) return Count(Outcome::kUnsent, measured);
  if (!EnsureOpen()) return Count(Outcome::kFailed, measured);
  PendingTick tick{.intended = intended, .measured = measured};
  TickOrder order{.deadline = intended + options_.deadline};
  int64_t capture_us = CaptureTime(intended);
  if (const auto act = chaos_.Next()) {
    Act(*act, &tick, &order);
    if (!session_.open() && !EnsureOpen()) return Count(Outcome::kFailed, measured);
    capture_us = tick.expected == grpc::OK ? CaptureTime(intended) : last_answered_us_ - kPastUs;
  }
  order.leave_unread = unread_ticks_ > 0 && unread_ticks_-- > 1;
  v1::PlanRequest* request = payload_->Tick(capture_us, first_, &tick.sent);
  tick.sent.sequence = session_.NextSequence();
  tick.sent.episode = session_.episode();
  request->set_session(session_.name());
  request->set_lease(session_.lease());
  request->set_sequence(tick.sent.sequence);
  if (tick.expected == grpc::OK) {
    last_capture_us_ = capture_us;
    check_.Sent(tick.sent);
  }
  tick.sent_at = absl::Now();
  const bool dropped = tick.given_up && !order.cancel_after;
  if (dropped) order.cancel_after = chaos_.Size() * kLongestCancel;
  pending_[tick.sent.sequence] = tick;
  if (tick.given_up) {  // with its stream, where it has one
    for (auto& [sequence, other] : pending_) other.given_up = true;
  }
  transport_->Send(*request, order, [this](const TickEnd& end) { OnEnd(end); });
  if (dropped) {
    transport_->Finish([this](const TickEnd& end) { OnEnd(end); });
    session_.Disconnect();
  }
}

// Before a tick is sent.
void Vehicle::Act(ChaosAct act, PendingTick* tick, TickOrder* order) {
  const auto finish = [this] { transport_->Finish([this](const TickEnd& end) { OnEnd(end); }); };
  switch (act) {
    case ChaosAct::kDisconnect:
      tick->given_up = true;
      break;
    case ChaosAct::kCancel:
      tick->given_up = true;
      order->cancel_after = chaos_.Size() * kLongestCancel;
      break;
    case ChaosAct::kSlowReader:
      if (options_.mode != Mode::kStream) return;
      unread_ticks_ = 1 + static_cast<int>(chaos_.Size() * kMostUnread);
      break;
    case ChaosAct::kClockSkew:
      if (chaos_.Size() < 0.5 && last_answered_us_ > kPastUs) {
        tick->expected = grpc::INVALID_ARGUMENT;
      } else {
        skew_ += chaos_.Size() * kLongestSkew;
      }
      break;
    case ChaosAct::kReset:
      finish();
      if (session_.open()) session_.Reset().IgnoreError();
      StartEpisode();
      break;
    case ChaosAct::kReopen:
      finish();
      if (session_.open()) session_.Close().IgnoreError();
      break;
  }
  const std::lock_guard lock(mutex_);
  ++tally_.acts[std::string(ToString(act))];
}

void Vehicle::OnEnd(const TickEnd& end) {
  const absl::Time now = absl::Now();
  const auto at = pending_.find(end.sequence);
  if (at == pending_.end()) {
    const std::lock_guard lock(mutex_);
    ++tally_.wrong;
    ++tally_.wrong_fields["answer to nothing that was asked"];
    return;
  }
  const PendingTick tick = at->second;
  pending_.erase(at);
  if (end.answer != nullptr) {
    OnAnswer(tick, *end.answer);
    if (tick.sent.episode == session_.episode()) {
      first_ = false;
      last_answered_us_ = std::max(last_answered_us_, tick.sent.facts.capture_time_us);
    }
  } else if (!tick.given_up && tick.expected == grpc::OK) {
    session_.Notice(end.code);
  }
  const Outcome outcome = Judge(tick, end, now);
  Count(outcome, tick.measured);
  if (!tick.measured) return;
  const std::lock_guard lock(mutex_);
  if (outcome == Outcome::kRefused) {
    tally_.refusal.Record(now - tick.sent_at);
    tally_.retry_after.Record(end.retry_after);
  }
  if (end.answer == nullptr) return;
  tally_.from_intended.Record(now - tick.intended);
  tally_.from_sent.Record(now - tick.sent_at);
  const v1::PlanProvenance& provenance = end.answer->provenance();
  tally_.server_queue.Record(absl::Seconds(provenance.timing().queue_s()));
  if (provenance.ages().has_context_us()) {
    tally_.staleness.Record(absl::Microseconds(provenance.ages().context_us()));
  }
}

void Vehicle::OnAnswer(const PendingTick& tick, const v1::PlanResponse& answer) {
  const bool synthetic = session_.model_revision() == synthetic::kModelRevision;
  AnswerCheck::Verdict verdict = check_.Check(tick.sent, answer, synthetic);
  if (tick.expected != grpc::OK) verdict.wrong.emplace_back("an observation from the past");
  const std::lock_guard lock(mutex_);
  ++(verdict.proven ? tally_.proven : tally_.unproven);
  if (tick.measured) {
    for (const int reason : answer.provenance().reasons()) ++tally_.reasons[ReasonName(reason)];
  }
  if (verdict.wrong.empty()) return;
  ++tally_.wrong;
  for (const std::string& field : verdict.wrong) ++tally_.wrong_fields[field];
  if (!tally_.wrong_example.empty()) return;
  tally_.wrong_example =
      absl::StrCat(options_.name, " sequence ", tick.sent.sequence, ": ",
                   absl::StrJoin(verdict.wrong, ", "), "; ", answer.ShortDebugString());
}

Outcome Vehicle::Judge(const PendingTick& tick, const TickEnd& end, absl::Time now) {
  if (end.answer != nullptr) {
    return now <= tick.intended + options_.deadline ? Outcome::kOnTime : Outcome::kLate;
  }
  if (tick.given_up || (tick.expected != grpc::OK && end.code == tick.expected)) {
    return Outcome::kCancelled;
  }
  if (end.code == grpc::DEADLINE_EXCEEDED) return Outcome::kLate;
  if (end.code == grpc::RESOURCE_EXHAUSTED && end.retry_after > absl::ZeroDuration()) {
    return Outcome::kRefused;
  }
  CountFailure(CodeName(end.code), tick.measured);
  return Outcome::kFailed;
}

void Vehicle::Count(Outcome outcome, bool measured) {
  const std::lock_guard lock(mutex_);
  if (measured) {
    tally_.Count(outcome);
  } else {
    ++tally_.warm_up;
  }
}

void Vehicle::CountFailure(const std::string& what, bool measured) {
  if (!measured) return;
  const std::lock_guard lock(mutex_);
  ++tally_.failures[what];
}

}  // namespace automot::loadgen
