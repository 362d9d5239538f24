#include "services/planning/plan_pipeline.h"

#include <algorithm>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "common/control/decision_agreement.h"
#include "common/status/status_macros.h"
#include "services/planning/policy/context_travel.h"
#include "services/planning/policy/fallback.h"

namespace automot::planning {
namespace {

constexpr uint32_t kPinsPerClientSession = 5;  // four leases and one status look-up

}  // namespace

uint32_t PlanPipeline::ReadersNeeded(uint32_t session_limit) {
  return 1 + (session_limit * kPinsPerClientSession + kPinsPerReader - 1) / kPinsPerReader;
}

absl::StatusOr<std::unique_ptr<PlanPipeline>> PlanPipeline::Create(ContextStore* store,
                                                                   ActionExpert* expert,
                                                                   PlanningMetrics* metrics,
                                                                   uint32_t session_limit) {
  std::unique_ptr<PlanPipeline> pipeline(new PlanPipeline(store, expert, metrics));
  AUTOMOT_ASSIGN_OR_RETURN(pipeline->planner_reader_, store->RegisterReader("planner"));
  for (uint32_t i = 1; i < ReadersNeeded(session_limit); ++i) {
    AUTOMOT_ASSIGN_OR_RETURN(const context::ReaderSlot reader,
                             store->RegisterReader(absl::StrCat("client pins ", i)));
    pipeline->pin_readers_.push_back(reader);
  }
  return pipeline;
}

absl::StatusOr<ContextStore::Handle> PlanPipeline::PinFor(const Session& session,
                                                          const std::optional<SnapshotId>& id,
                                                          SessionTimeUs now_us) const {
  ContextStore::Handle handle;
  for (const context::ReaderSlot reader : pin_readers_) {
    if (id) {
      SnapshotId wanted = *id;
      wanted.session = session.key;
      handle = store_->Specific(session.store_handle, reader, wanted);
    } else {
      handle = store_->LatestVisible(session.store_handle, reader, now_us);
    }
    if (handle) return handle;
    if (handle.miss() != context::Miss::kNoPinSlot) break;
  }
  if (handle.miss() == context::Miss::kNoPinSlot) {
    return absl::ResourceExhaustedError("no pin slot is free");
  }
  return absl::NotFoundError(absl::StrCat(
      "session '", session.name, "' retains no such context: ", context::ToString(handle.miss())));
}

// Planning state of an earlier episode must not leak into this one (semantics 2).
void PlanPipeline::BeginEpisode(PlanWork& work) const {
  PlanningState& state = work.session->planning;
  if (state.episode == work.episode) return;
  state.episode = work.episode;
  state.had_context = false;
  state.last_good.reset();
  state.recovery.Reset();
  state.follower.Reset();
}

// Looked at once, before the context is chosen: what a tick makes of the producer's versions is
// then a function of what its result says that it saw, which is what a replay goes by.
void PlanPipeline::LookAtProducer(PlanWork& work) const {
  const Session& session = *work.session;
  const uint64_t epoch = session.epoch_in_force.load(std::memory_order_acquire);
  const uint64_t announced = session.announced_version.load(std::memory_order_acquire);
  const bool same = session.epoch_in_force.load(std::memory_order_acquire) == epoch;
  work.result.newest_seen = {session.key, work.episode, epoch, same ? announced : 0};
}

void PlanPipeline::Saw(PlanWork& work, SnapshotId id) const {
  SnapshotId& seen = work.result.newest_seen;
  if (std::tie(id.epoch, id.version) > std::tie(seen.epoch, seen.version)) seen = id;
}

// False where the plan has failed.
bool PlanPipeline::Acquire(PlanWork& work, Context* context) const {
  const Session& session = *work.session;
  const bool exactly = work.choice.kind == ContextChoice::Kind::kExactly;
  if (work.pinned != nullptr) {
    context->served = &*work.pinned->handle;
    context->id = work.pinned->handle.id();
    context->capture_us = work.pinned->handle.capture_time_us();
    return true;
  }
  context->handle =
      exactly ? store_->Specific(session.store_handle, planner_reader_, work.choice.id)
              : store_->LatestVisible(session.store_handle, planner_reader_, work.capture_time_us);
  if (!context->handle) {
    if (context->handle.miss() == context::Miss::kUnknownSession) {
      work.result.failure = PlanFailure::kSessionClosed;
    } else if (exactly) {
      work.result.failure = PlanFailure::kContextNotFound;
      // Newer ones may have taken its place.
      const auto latest = store_->Latest(session.store_handle, planner_reader_);
      if (latest) Saw(work, latest.id());
    }
    return work.result.failure == PlanFailure::kNone;
  }
  context->id = context->handle.id();
  if (context->id.episode != work.episode) {  // reset since Run looked
    work.result.failure = PlanFailure::kEpisodeEnded;
    return false;
  }
  context->served = &*context->handle;
  context->capture_us = context->handle.capture_time_us();
  const bool retained = work.capture_time_us - context->capture_us <= session.options.retention_us;
  if (!retained && !exactly) *context = {};
  return true;
}

// False where a newer version was asked for than there is.
bool PlanPipeline::NewEnough(PlanWork& work, const Context& context) const {
  if (work.choice.kind != ContextChoice::Kind::kAtLeast) return true;
  const bool current =
      context.served != nullptr && context.id.epoch >= work.result.newest_seen.epoch;
  if (current && context.id.version >= work.choice.id.version) return true;
  if (current) work.result.snapshot = context.id;
  work.result.failure = PlanFailure::kContextTooOld;
  return false;
}

StalenessOutcome PlanPipeline::JudgeAbsence(PlanWork& work, StalenessInputs inputs) const {
  PlanningState& state = work.session->planning;
  {
    const auto latest = store_->Latest(work.session->store_handle, planner_reader_);
    inputs.newer_exists = latest && latest.capture_time_us() > work.capture_time_us;
    if (inputs.newer_exists) Saw(work, latest.id());
  }
  inputs.had_context = state.had_context;
  const StalenessOutcome outcome = JudgeStaleness(inputs, work.session->options, work.on_expired);
  if (outcome.verdict == PlanVerdict::kWait) return outcome;
  // A context that ran out of retention is one that expired.
  if (state.had_context && !inputs.newer_exists) {
    state.recovery.Observe({}, /*expired=*/true);
    work.session->recovering.store(true, std::memory_order_relaxed);
  }
  return outcome;
}

// A look that ends in waiting leaves the session's planning state as it was.
StalenessOutcome PlanPipeline::Judge(PlanWork& work, const Context& context, bool may_park) const {
  PlanningState& state = work.session->planning;
  const bool exactly = work.choice.kind == ContextChoice::Kind::kExactly;
  StalenessInputs inputs;
  // Waiting changes nothing for a plan that names its context.
  inputs.may_wait = may_park && !exactly;
  if (context.served == nullptr) return JudgeAbsence(work, inputs);
  inputs.has_context = true;
  inputs.staleness_us = work.capture_time_us - context.capture_us;
  inputs.route_changed =
      context.served->snapshot->header.prompt.route_revision != work.target.route_revision;
  StalenessOutcome outcome = JudgeStaleness(inputs, work.session->options, work.on_expired);
  if (inputs.staleness_us < 0) outcome.reasons.Add(Reason::kContextFromFuture);
  if (outcome.verdict == PlanVerdict::kWait) return outcome;
  state.had_context = true;
  // An old context that was asked for by name says nothing about the session's freshness.
  if (exactly) return outcome;
  const bool hold = state.recovery.Observe(context.id, outcome.reasons.Has(Reason::kExpired));
  if (hold && work.on_expired == OnExpired::kFallback) outcome.verdict = PlanVerdict::kFallback;
  work.session->recovering.store(state.recovery.recovering(), std::memory_order_relaxed);
  return outcome;
}

bool PlanPipeline::WaitsForRefresh(const PlanWork& work, const Context& context) const {
  return work.required_capture_us && work.choice.kind != ContextChoice::Kind::kExactly &&
         (context.served == nullptr || context.capture_us < *work.required_capture_us);
}

void PlanPipeline::Describe(PlanWork& work, const Context& context) const {
  PlanResult& result = work.result;
  if (context.served == nullptr) return;
  const context::SnapshotHeader& header = context.served->snapshot->header;
  result.snapshot = context.id;
  result.snapshot_capture_us = context.capture_us;
  result.reasons.Merge(header.reasons);
  result.context_decision = context.served->snapshot->decision;
  const SnapshotId& seen = result.newest_seen;
  const bool comparable = context.id.epoch == seen.epoch;
  result.version_gap =
      comparable && seen.version > context.id.version ? seen.version - context.id.version : 0;
  result.travel = ComputeContextTravel(
      {header.prompt.pose, header.prompt.speed_mps, header.prompt.target_points[0]},
      {work.ego.pose, work.ego.speed_mps, work.target.current});
}

// The plans' contexts are contexts_[0 .. works.size()).
void PlanPipeline::RunExpert(absl::Span<PlanWork* const> works) {
  const absl::Span<PlanItem> items = absl::MakeSpan(items_).first(works.size());
  for (std::size_t i = 0; i < works.size(); ++i) {
    const PlanWork& work = *works[i];
    PlanFeatures& features = items[i].features;
    features.camera = work.camera.image.get();
    features.lidar = work.lidar.get();
    features.bev_feature = work.bev_feature.get();
    features.target_points[0] = work.target.current;
    features.target_points[1] = work.target.next;
    features.speed_mps = work.ego.speed_mps;
    features.capture_time_us = work.capture_time_us;
    items[i].context = contexts_[i].served->prepared.get();
    items[i].output = {};
  }
  if (items.size() == 1) {
    items[0].status = expert_->Plan(items[0].features, *items[0].context, &items[0].output);
  } else {
    expert_->PlanBatch(items);
  }
  for (std::size_t i = 0; i < works.size(); ++i) TakePlan(*works[i], items[i]);
}

void PlanPipeline::TakePlan(PlanWork& work, const PlanItem& item) const {
  PlanResult& result = work.result;
  work.expert_status = item.status;
  if (!item.status.ok()) {
    result.failure = PlanFailure::kExpert;
    return;
  }
  result.trajectory = item.output.trajectory;
  result.decision = item.output.decision;
  result.bev_encoder_s = item.output.bev_encoder_s;
  result.action_expert_s = item.output.action_expert_s;
  // A route planned on an expired context is not one to fall back on.
  if (!result.reasons.Has(Reason::kExpired)) {
    work.session->planning.last_good =
        LastGoodRoute{item.output.trajectory, work.ego.pose, work.capture_time_us};
  }
  Finish(work);
}

void PlanPipeline::RunFallback(PlanWork& work) const {
  PlanResult& result = work.result;
  const PlanningState& state = work.session->planning;
  result.reasons.Add(Reason::kFallback);
  result.trajectory = PlanFallback({state.last_good ? &*state.last_good : nullptr, work.ego.pose,
                                    work.ego.speed_mps, work.capture_time_us});
  result.decision = FallbackDecision(work.capture_time_us);
  work.session->plans_fallback.fetch_add(1, std::memory_order_relaxed);
}

void PlanPipeline::Finish(PlanWork& work) const {
  PlanResult& result = work.result;
  result.agreement =
      control::CompareDecisions(result.context_decision ? &*result.context_decision : nullptr,
                                result.decision ? &*result.decision : nullptr);
  result.consistency = control::CheckConsistency(result.decision ? &*result.decision : nullptr,
                                                 result.trajectory, work.ego.speed_mps);
  if (work.session->options.run_controller) {
    result.control = work.session->planning.follower.Step(result.trajectory, work.ego.speed_mps);
  }
  metrics_->ObserveTick(work);
}

PlanTick::Outcome PlanPipeline::Run(PlanWork& work, bool may_park) {
  PlanWork* const one = &work;
  Outcome outcome = Outcome::kAnswered;
  RunBatch(absl::MakeConstSpan(&one, 1), absl::MakeConstSpan(&may_park, 1),
           absl::MakeSpan(&outcome, 1));
  return outcome;
}

void PlanPipeline::RunBatch(absl::Span<PlanWork* const> works, absl::Span<const bool> may_park,
                            absl::Span<Outcome> outcomes) {
  std::array<PlanWork*, BatchCosts::kLargestBatch> for_expert;
  std::size_t count = 0;
  for (std::size_t i = 0; i < works.size(); ++i) {
    const Step step = Look(*works[i], may_park[i], &contexts_.at(count));
    outcomes[i] = step == Step::kPark ? Outcome::kPark : Outcome::kAnswered;
    if (step == Step::kExpert) for_expert.at(count++) = works[i];
  }
  if (count > 0) RunExpert(absl::MakeConstSpan(for_expert).first(count));
  for (std::size_t i = 0; i < std::min(works.size(), count + 1); ++i) contexts_.at(i) = {};
}

PlanPipeline::Step PlanPipeline::Look(PlanWork& work, bool may_park, Context* context) {
  *context = {};
  if (work.episode != work.session->episode.load(std::memory_order_acquire)) {
    work.result.failure = PlanFailure::kEpisodeEnded;
    return Step::kAnswered;
  }
  BeginEpisode(work);
  LookAtProducer(work);
  if (!Acquire(work, context)) return Step::kAnswered;
  if (context->served != nullptr) Saw(work, context->id);
  if (WaitsForRefresh(work, *context)) {
    // Its end is a snapshot at least as new, the loss of the refresh, or the park limit.
    may_park = may_park && !work.session->lost_refreshes.Has(*work.required_capture_us);
    if (may_park) return Step::kPark;
  }
  if (!NewEnough(work, *context)) return Step::kAnswered;
  const StalenessOutcome outcome = Judge(work, *context, may_park);
  if (outcome.verdict == PlanVerdict::kWait) return Step::kPark;
  return Resolve(work, *context, outcome);
}

PlanPipeline::Step PlanPipeline::Resolve(PlanWork& work, const Context& context,
                                         const StalenessOutcome& outcome) {
  PlanResult& result = work.result;
  result.reasons = work.ingest_reasons;
  result.reasons.Merge(outcome.reasons);
  Describe(work, context);
  if (outcome.verdict == PlanVerdict::kReject) {
    result.failure = context.served != nullptr ? PlanFailure::kExpired : PlanFailure::kNoContext;
    return Step::kAnswered;
  }
  if (outcome.verdict != PlanVerdict::kFallback) return Step::kExpert;
  RunFallback(work);
  Finish(work);
  return Step::kAnswered;
}

}  // namespace automot::planning
