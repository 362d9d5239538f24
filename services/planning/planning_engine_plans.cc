// The engine's side of single plans: ingest, admission, and leases on contexts.
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"
#include "services/planning/plan_failure.h"
#include "services/planning/planning_engine.h"

namespace automot::planning {
namespace {

constexpr size_t kMaxPinsPerSession = 4;
constexpr SessionTimeUs kMaxPinUs = 60'000'000;

absl::Status CheckSequence(const SessionState& state, const PlanCall& call) {
  if (call.sequence > state.last_sequence) return absl::OkStatus();
  if (call.sequence == state.last_sequence && call.sequence != 0) {
    return absl::AlreadyExistsError(absl::StrCat("sequence ", call.sequence,
                                                 " was accepted already; the next is at least ",
                                                 state.last_sequence + 1));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("sequence is ", call.sequence, "; it must be above ", state.last_sequence));
}

// Leases end by session time.
void EndOldPins(SessionState& state, SessionTimeUs now_us) {
  std::erase_if(state.pins, [now_us](const std::shared_ptr<const PinnedContext>& pin) {
    return pin->expires_us < now_us;
  });
}

std::shared_ptr<const PinnedContext> FindPin(const SessionState& state, SnapshotId id) {
  for (const std::shared_ptr<const PinnedContext>& pin : state.pins) {
    if (pin->handle.id() == id) return pin;
  }
  return nullptr;
}

}  // namespace

// Under the session's lock: the producer sees a session's observations in order.
absl::Status PlanningEngine::Forward(Session& session, IngestedObservation& ingested) {
  const context::SlowObservationPtr slow = std::move(ingested.slow);
  if (slow == nullptr) return absl::OkStatus();
  const absl::Status forwarded = channel_->Submit(slow);
  if (!forwarded.ok()) metrics_->CountForwardFailure(forwarded.code());
  const TimeMode mode = session.options.time_mode;
  if (mode == TimeMode::kRealtime) return absl::OkStatus();  // the next one does as well
  const bool refresh = !slow->history_only;
  // Without a link it is kept, and offered again when the link is back.
  const bool kept = absl::IsUnavailable(forwarded) || absl::IsNotFound(forwarded);
  if (forwarded.ok() || (kept && mode == TimeMode::kStepped)) {
    if (!refresh) return absl::OkStatus();
    session.state.awaited = slow;
    session.state.awaited_epoch = forwarded.ok() ? session.state.attached_epoch : 0;
    return absl::OkStatus();
  }
  if (refresh) session.state.ingest.Retract(*slow, &ingested);
  // A lockstep path is lossless: a frame that cannot be forwarded is an error (semantics 5).
  return mode == TimeMode::kLockstep ? forwarded : absl::OkStatus();
}

absl::Status PlanningEngine::IngestUnder(Session& session, PlanCall& call, PlanWork* work) {
  SessionState& state = session.state;
  AUTOMOT_RETURN_IF_ERROR(SessionTable::CheckWriter(session, call.lease));
  AUTOMOT_RETURN_IF_ERROR(CheckSequence(state, call));
  const uint32_t episode = session.episode.load(std::memory_order_relaxed);
  AUTOMOT_ASSIGN_OR_RETURN(
      IngestedObservation ingested,
      state.ingest.Take(call.observation, expert_->info(), session.key, episode, call.sequence));
  state.last_sequence = call.sequence;
  state.last_activity = clock_->Now();
  session.newest_sequence.store(call.sequence, std::memory_order_release);
  EndOldPins(state, call.observation.capture_time_us);
  work->choice = call.choice;
  work->choice.id.session = session.key;
  if (call.choice.kind == ContextChoice::Kind::kExactly) {
    work->pinned = FindPin(state, work->choice.id);
  }
  AUTOMOT_RETURN_IF_ERROR(Forward(session, ingested));
  work->episode = episode;
  work->camera = std::move(ingested.camera);
  work->lidar = std::move(ingested.lidar);
  work->camera_age_us = ingested.camera_age_us;
  work->lidar_age_us = ingested.lidar_age_us;
  work->ingest_reasons = ingested.reasons;
  work->required_capture_us = ingested.required_capture_us;
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<PlanWork>> PlanningEngine::Ingest(
    const std::shared_ptr<Session>& session, PlanCall& call) {
  auto work = std::make_unique<PlanWork>();
  {
    const std::lock_guard lock(session->mutex);
    const absl::Status taken = IngestUnder(*session, call, work.get());
    recorder_->OnPlanTaken(*session, call, taken);
    AUTOMOT_RETURN_IF_ERROR(taken);
  }
  work->session = session;
  work->lease = call.lease;
  work->sequence = call.sequence;
  work->capture_time_us = call.observation.capture_time_us;
  work->ego = call.observation.ego;
  work->target = call.observation.target;
  work->bev_feature = call.observation.bev_feature;
  work->on_expired = call.on_expired.value_or(session->options.on_expired);
  work->arrived = call.arrived;
  work->deadline = call.deadline;
  work->order_by = call.order_by;
  work->park_limit = clock_->Now() + call.park_at_most.value_or(options_.park_limit);
  work->cancelled = std::move(call.cancelled);
  work->ingest_s = absl::ToDoubleSeconds(clock_->Now() - call.arrived);
  return work;
}

void PlanningEngine::Plan(PlanCall call, std::function<void(const PlanAnswer&)> done) {
  const auto refuse = [&](const absl::Status& status,
                          absl::Duration retry_after = absl::ZeroDuration()) {
    metrics_->CountRefusal(status.code());
    done({status, retry_after, nullptr});
  };
  const std::shared_ptr<Session> session = sessions_.Find(call.session);
  if (session == nullptr) {
    return refuse(absl::NotFoundError(absl::StrCat("session '", call.session, "' is not open")));
  }
  absl::StatusOr<std::unique_ptr<PlanWork>> work = Ingest(session, call);
  if (!work.ok()) return refuse(work.status());
  (*work)->done = [this, done](PlanWork& finished) {
    metrics_->ObservePlan(finished);
    const absl::Status status = PlanFailureStatus(finished);
    if (status.ok()) finished.session->plans_answered.fetch_add(1, std::memory_order_relaxed);
    recorder_->OnPlanEnded(finished, status);
    done({status, absl::ZeroDuration(), &finished});
  };
  absl::Duration retry_after;
  const absl::Status accepted = loop_->Submit(*work, &retry_after);
  if (accepted.ok()) return;
  recorder_->OnPlanEnded(**work, accepted);
  refuse(accepted, retry_after);
}

absl::StatusOr<std::unique_ptr<PlanWork>> PlanningEngine::TakeIn(PlanCall call) {
  const std::shared_ptr<Session> session = sessions_.Find(call.session);
  if (session == nullptr) {
    return absl::NotFoundError(absl::StrCat("session '", call.session, "' is not open"));
  }
  return Ingest(session, call);
}

absl::Status PlanningEngine::AttachAnew(const std::string& name) {
  const std::shared_ptr<Session> session = sessions_.Find(name);
  if (session == nullptr) {
    return absl::NotFoundError(absl::StrCat("session '", name, "' is not open"));
  }
  keeper_->Attach(session);
  return absl::OkStatus();
}

absl::StatusOr<PlanningEngine::Pinned> PlanningEngine::PinContext(
    const std::string& name, uint64_t lease, const std::optional<SnapshotId>& id,
    SessionTimeUs ttl_us) {
  AUTOMOT_ASSIGN_OR_RETURN(const std::shared_ptr<Session> session,
                           sessions_.FindForWriter(name, lease));
  if (ttl_us <= 0 || ttl_us > kMaxPinUs) {
    return absl::InvalidArgumentError(
        absl::StrCat("ttl_us is ", ttl_us, "; the limits are above 0 and at most ", kMaxPinUs));
  }
  const std::lock_guard lock(session->mutex);
  AUTOMOT_RETURN_IF_ERROR(SessionTable::CheckWriter(*session, lease));
  SessionState& state = session->state;
  const SessionTimeUs now_us = state.ingest.newest_time_us().value_or(0);
  if (state.pins.size() >= kMaxPinsPerSession) {
    return absl::ResourceExhaustedError(absl::StrCat("session '", name, "' has ", state.pins.size(),
                                                     " pins; the limit is ", kMaxPinsPerSession));
  }
  AUTOMOT_ASSIGN_OR_RETURN(ContextStore::Handle handle, pipeline_->PinFor(*session, id, now_us));
  auto pin = std::make_shared<PinnedContext>();
  pin->lease = state.next_pin_lease++;
  pin->expires_us = now_us + ttl_us;
  pin->handle = std::move(handle);
  const Pinned pinned{pin->lease, pin->handle.id()};
  recorder_->OnContextPinned(*session, pinned.snapshot, ttl_us);
  state.pins.push_back(std::move(pin));
  return pinned;
}

absl::Status PlanningEngine::ReleaseContext(const std::string& name, uint64_t lease,
                                            uint64_t context_lease) {
  AUTOMOT_ASSIGN_OR_RETURN(const std::shared_ptr<Session> session,
                           sessions_.FindForWriter(name, lease));
  const std::lock_guard lock(session->mutex);
  AUTOMOT_RETURN_IF_ERROR(SessionTable::CheckWriter(*session, lease));
  recorder_->OnContextReleased(*session, context_lease);
  std::erase_if(session->state.pins, [&](const std::shared_ptr<const PinnedContext>& pin) {
    return pin->lease == context_lease;
  });
  return absl::OkStatus();
}

}  // namespace automot::planning
