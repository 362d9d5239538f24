#include "services/planning/planning_metrics_prometheus.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>
#include <vector>

#include "services/planning/session.h"

namespace automot::planning {
namespace {

using metrics::BucketBounds;
using metrics::LabelValues;
using metrics::PolledFamily;
using metrics::RateIndex;
using Samples = std::vector<PolledFamily::Sample>;
namespace names = metrics::names;

// Seconds: dense around the default limits, 0.5 s and 1 s.
constexpr BucketBounds kStalenessBounds = {0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.75,
                                           1,    1.5, 2,   3,   5,   10,  30};
constexpr BucketBounds kVersionGapBounds = {0, 1, 2, 3, 5, 10, 20, 50};

// Label `outcome`: the plain answer and the fallback, then the failures in PlanFailure's order.
constexpr std::array<const char*, 12> kOutcomes = {
    "answered",   "fallback",          "deadline",        "cancelled",
    "superseded", "episode_ended",     "session_closed",  "expired",
    "no_context", "context_not_found", "context_too_old", "expert_failed"};
static_assert(kOutcomes.size() == static_cast<std::size_t>(PlanFailure::kExpert) + 2);

// In Reason's order.
constexpr std::array<const char*, kReasonCount> kReasons = {
    "stale",        "expired",       "no_context", "route_changed",       "no_lidar",
    "half_sweep",   "short_history", "time_jump",  "context_from_future", "fallback",
    "modality_skew"};

// The store's rejections, then those of the keeper and of whoever is added later.
std::vector<std::string> RejectionReasons() {
  std::vector<std::string> reasons;
  for (int i = 1; i < context::kRejectionCount; ++i) {
    reasons.emplace_back(context::ToString(static_cast<context::Rejection>(i)));
  }
  reasons.emplace_back("does_not_fit");
  reasons.emplace_back("memory_session");
  reasons.emplace_back("memory_process");
  reasons.emplace_back("other");
  return reasons;
}

template <std::size_t kCount>
LabelValues Label(const char* name, const std::array<const char*, kCount>& values) {
  return {name, {values.begin(), values.end()}};
}

std::size_t OutcomeIndex(const PlanResult& result) {
  if (result.failure != PlanFailure::kNone) return static_cast<std::size_t>(result.failure) + 1;
  return result.reasons.Has(Reason::kFallback) ? 1 : 0;
}

bool RealTime(const Session& session) { return session.options.time_mode == TimeMode::kRealtime; }

}  // namespace

PrometheusPlanningMetrics::Answers::Answers(metrics::Registry* registry)
    : plans(registry->AddCounters(names::kPlansTotal, {Label("outcome", kOutcomes)})),
      refusals(registry->AddCounters(names::kPlanRefusalsTotal, {metrics::CodeLabel()})),
      reasons(registry->AddCounters(names::kPlanReasonsTotal, {Label("reason", kReasons)})),
      deadline_misses(
          registry->AddCounters(names::kPlanDeadlineMissesTotal, {metrics::RateHzLabel()})),
      staleness(registry->AddHistograms(names::kContextStalenessSeconds, &kStalenessBounds,
                                        {{"clock", {"wall", "simulated"}}, metrics::RateHzLabel()},
                                        metrics::Unused::kHidden)),
      version_gap(registry->AddHistograms(names::kContextVersionGap, &kVersionGapBounds)),
      agreement(registry->AddCounters(names::kDecisionAgreementTotal,
                                      {{"result", {"not_comparable", "agree", "disagree"}}})),
      consistency(
          registry->AddCounters(names::kDecisionConsistencyTotal,
                                {{"result", {"not_comparable", "consistent", "inconsistent"}}})) {}

PrometheusPlanningMetrics::Load::Load(metrics::Registry* registry)
    : waiting(registry->AddPolled(names::kPlansWaiting, PolledFamily::Type::kGauge)),
      admission_tick(registry->AddPolled(names::kAdmissionTickSeconds, PolledFamily::Type::kGauge)),
      runs(registry->AddPolled(names::kPlanRunsTotal, PolledFamily::Type::kCounter)),
      sessions(registry->AddGauges(names::kSessions)),
      episodes(registry->AddCounters(names::kEpisodesTotal)),
      adopted(registry->AddCounters(names::kSessionsAdoptedTotal)),
      quota_refusals(registry->AddCounters(names::kClientQuotaRefusalsTotal,
                                           {{"quota", {"sessions", "requests", "bytes"}}})),
      connection_refusals(registry->AddCounters(names::kConnectionsRefusedTotal)) {}

PrometheusPlanningMetrics::Link::Link(metrics::Registry* registry)
    : state(registry->AddPolled(names::kLinkState, PolledFamily::Type::kGauge)),
      reconnects(registry->AddPolled(names::kLinkReconnectsTotal, PolledFamily::Type::kCounter)),
      rehomes(registry->AddPolled(names::kLinkRehomesTotal, PolledFamily::Type::kCounter)),
      received_bytes(
          registry->AddPolled(names::kLinkReceivedBytesTotal, PolledFamily::Type::kCounter)),
      reused_bytes(registry->AddPolled(names::kLinkReusedBytesTotal, PolledFamily::Type::kCounter)),
      copied_bytes(registry->AddPolled(names::kLinkCopiedBytesTotal, PolledFamily::Type::kCounter)),
      refusals(registry->AddPolled(names::kLinkRefusalsTotal, PolledFamily::Type::kCounter)),
      observations(
          registry->AddPolled(names::kLinkObservationsTotal, PolledFamily::Type::kCounter)),
      transitions(registry->AddCounters(names::kLinkTransitionsTotal,
                                        {{"state", {"down", "up", "draining"}}})),
      forward_failures(
          registry->AddCounters(names::kForwardFailuresTotal, {metrics::CodeLabel()})) {}

PrometheusPlanningMetrics::Snapshots::Snapshots(metrics::Registry* registry)
    : received(registry->AddCounters(names::kSnapshotsReceivedTotal)),
      rejected(
          registry->AddCounters(names::kSnapshotsRejectedTotal, {{"reason", RejectionReasons()}})),
      refresh(registry->AddHistograms(
          names::kSnapshotRefreshSeconds, &metrics::kLatencyBounds,
          {{"stage", {"queue", "encode", "prefill", "decision", "total"}}})),
      transfer(registry->AddHistograms(names::kSnapshotTransferSeconds, &metrics::kLatencyBounds,
                                       {{"part", {"all", "exposed"}}})),
      refresh_failures(registry->AddCounters(names::kRefreshFailuresTotal)) {}

PrometheusPlanningMetrics::Memory::Memory(metrics::Registry* registry)
    : bytes(registry->AddPolled(names::kContextMemoryBytes, PolledFamily::Type::kGauge)),
      limits(registry->AddPolled(names::kContextMemoryLimitBytes, PolledFamily::Type::kGauge)),
      refusals(
          registry->AddPolled(names::kContextMemoryRefusalsTotal, PolledFamily::Type::kCounter)) {}

PrometheusPlanningMetrics::Recording::Recording(metrics::Registry* registry)
    : records(registry->AddPolled(names::kRecordedRecordsTotal, PolledFamily::Type::kCounter)),
      bytes(registry->AddPolled(names::kRecordedBytesTotal, PolledFamily::Type::kCounter)) {}

PrometheusPlanningMetrics::PrometheusPlanningMetrics(metrics::Registry* registry,
                                                     const Clock* clock)
    : registry_(registry),
      clock_(clock),
      loop_(registry, "planning",
            {"ingest", "queue", "parked", "bev_encoder", "action_expert", "tick", "total"}),
      answers_(registry),
      load_(registry),
      link_(registry),
      snapshots_(registry),
      memory_(registry),
      recording_(registry) {}

void PrometheusPlanningMetrics::Describe(const ActionExpertInfo& model, context::Lane lane) {
  registry_->AddInfo(names::kModelInfo,
                     {{"loop", "planning"},
                      {"model_revision", model.model_revision},
                      {"weights", model.weights_trained ? "trained" : "untrained"}});
  registry_->AddInfo(names::kLaneInfo, {{"lane", context::ToString(lane)}});
}

void PrometheusPlanningMetrics::SetSources(const Sources& sources) {
  SetMemorySource(sources.memory);
  SetRecordingSource(sources.recording);
  const auto poll = [](PolledFamily* family, const auto& source, auto read) {
    if (!source) return family->SetSource(nullptr);
    family->SetSource([source, read]() -> Samples { return read(source()); });
  };
  poll(load_.waiting, sources.load, [](const PlanningLoop::Load& load) -> Samples {
    // Both numbers are read while the loop goes on, so the difference must not wrap.
    const double parked = load.parked;
    return {{{{"state", "queued"}}, std::max(0.0, load.pending - parked)},
            {{{"state", "parked"}}, parked}};
  });
  poll(load_.admission_tick, sources.load,
       [](const PlanningLoop::Load& load) -> Samples { return {{{}, load.plan_cost_s}}; });
  poll(load_.runs, sources.load, [](const PlanningLoop::Load& load) -> Samples {
    return {{{}, static_cast<double>(load.runs)}};
  });
  poll(link_.state, sources.link_stats, [](const context::LinkStats& stats) {
    Samples samples;
    for (const auto state :
         {context::LinkState::kDown, context::LinkState::kUp, context::LinkState::kDraining}) {
      samples.push_back({{{"state", context::ToString(state)}}, state == stats.state ? 1.0 : 0.0});
    }
    return samples;
  });
  poll(link_.reconnects, sources.link_stats, [](const context::LinkStats& stats) -> Samples {
    return {{{}, static_cast<double>(stats.reconnects)}};
  });
  poll(link_.rehomes, sources.link_stats, [](const context::LinkStats& stats) {
    Samples samples;
    for (std::size_t i = 0; i < stats.rehomes.size(); ++i) {
      samples.push_back(
          {{{"reason", context::kRehomeReasons.at(i)}}, static_cast<double>(stats.rehomes.at(i))});
    }
    return samples;
  });
  poll(link_.received_bytes, sources.link_stats, [](const context::LinkStats& stats) -> Samples {
    return {{{}, static_cast<double>(stats.bytes_received)}};
  });
  poll(link_.reused_bytes, sources.link_stats, [](const context::LinkStats& stats) -> Samples {
    return {{{}, static_cast<double>(stats.bytes_reused)}};
  });
  poll(link_.copied_bytes, sources.link_stats, [](const context::LinkStats& stats) -> Samples {
    return {{{}, static_cast<double>(stats.bytes_copied)}};
  });
  poll(link_.refusals, sources.link_stats, [](const context::LinkStats& stats) {
    Samples samples;
    for (std::size_t i = 0; i < stats.refusals.size(); ++i) {
      samples.push_back(
          {{{"reason", context::kLinkRefusals.at(i)}}, static_cast<double>(stats.refusals.at(i))});
    }
    return samples;
  });
  poll(link_.observations, sources.link_stats, [](const context::LinkStats& stats) -> Samples {
    return {{{{"outcome", "submitted"}}, static_cast<double>(stats.observations_submitted)},
            {{{"outcome", "superseded"}}, static_cast<double>(stats.observations_superseded)},
            {{{"outcome", "dropped"}}, static_cast<double>(stats.observations_dropped)}};
  });
}

void PrometheusPlanningMetrics::SetRecordingSource(const std::function<RecordingStats()>& source) {
  if (!source) {
    recording_.records->SetSource(nullptr);
    recording_.bytes->SetSource(nullptr);
    return;
  }
  recording_.records->SetSource([source]() -> Samples {
    const RecordingStats stats = source();
    return {{{{"outcome", "written"}}, static_cast<double>(stats.written)},
            {{{"outcome", "dropped"}}, static_cast<double>(stats.dropped)},
            {{{"outcome", "omitted"}}, static_cast<double>(stats.omitted_snapshots)}};
  });
  recording_.bytes->SetSource(
      [source]() -> Samples { return {{{}, static_cast<double>(source().bytes)}}; });
}

void PrometheusPlanningMetrics::SetMemorySource(
    const std::function<context::MemoryBudget::Stats()>& source) {
  const auto poll = [&source](PolledFamily* family, auto read) {
    if (!source) return family->SetSource(nullptr);
    family->SetSource([source, read]() -> Samples { return read(source()); });
  };
  using Stats = context::MemoryBudget::Stats;
  const auto sample = [](const char* label, const char* value, uint64_t count) {
    return PolledFamily::Sample{{{label, value}}, static_cast<double>(count)};
  };
  poll(memory_.bytes, [sample](const Stats& stats) -> Samples {
    return {sample("scope", "process", stats.used_bytes),
            sample("scope", "largest_session", stats.largest_session_bytes)};
  });
  poll(memory_.limits, [sample](const Stats& stats) -> Samples {
    return {sample("scope", "process", stats.process_limit_bytes),
            sample("scope", "session", stats.session_limit_bytes)};
  });
  poll(memory_.refusals, [sample](const Stats& stats) -> Samples {
    return {sample("refused", "session", stats.sessions_refused),
            sample("refused", "version_by_process", stats.versions_refused_by_process),
            sample("refused", "version_by_session", stats.versions_refused_by_session)};
  });
}

// On the planning thread: atomics only.
void PrometheusPlanningMetrics::ObserveTick(const PlanWork& work) {
  const Session& session = *work.session;
  const PlanResult& result = work.result;
  for (std::size_t i = 0; i < kReasons.size(); ++i) {
    if (result.reasons.Has(static_cast<Reason>(i))) answers_.reasons->At({i}).Add();
  }
  if (result.snapshot.valid()) ObserveContext(work);
  // Both enums start with an unspecified value that no finished tick has.
  if (result.agreement > 0) answers_.agreement->At({result.agreement - 1U}).Add();
  if (result.consistency > 0) answers_.consistency->At({result.consistency - 1U}).Add();
  loop_.ObservePace({.session = session.key,
                     .episode = work.episode,
                     .wall_s = absl::ToDoubleSeconds(clock_->Now()),
                     .capture_time_us = work.capture_time_us,
                     .rate_hz = session.options.planning_rate_hz,
                     .real_time = RealTime(session),
                     .time_jump = result.reasons.Has(Reason::kTimeJump)});
}

void PrometheusPlanningMetrics::ObserveContext(const PlanWork& work) {
  const PlanResult& result = work.result;
  const double staleness_s =
      1e-6 * static_cast<double>(work.capture_time_us - result.snapshot_capture_us);
  // A context from the future, asked for by name, has no staleness; its reason counts it.
  answers_.staleness
      ->At({RealTime(*work.session) ? 0U : 1U, RateIndex(work.session->options.planning_rate_hz)})
      .Observe(std::max(0.0, staleness_s));
  answers_.version_gap->At().Observe(static_cast<double>(result.version_gap));
}

void PrometheusPlanningMetrics::ObservePlan(const PlanWork& work) {
  const PlanResult& result = work.result;
  const std::size_t rate = RateIndex(work.session->options.planning_rate_hz);
  const absl::Duration now = clock_->Now();
  answers_.plans->At({OutcomeIndex(result)}).Add();
  const bool answered = result.failure == PlanFailure::kNone;
  if (result.failure == PlanFailure::kDeadline || (answered && now > work.deadline)) {
    answers_.deadline_misses->At({rate}).Add();
  }
  if (answered) ObserveStages(work, rate, now);
}

// A stage that a plan did not go through is not a stage that took no time.
void PrometheusPlanningMetrics::ObserveStages(const PlanWork& work, std::size_t rate,
                                              absl::Duration now) {
  const PlanResult& result = work.result;
  loop_.ObserveStage(kIngest, rate, work.ingest_s);
  loop_.ObserveStage(kQueue, rate, result.queue_s);
  if (work.parked_at) loop_.ObserveStage(kParked, rate, result.parked_s);
  if (result.bev_encoder_s > 0.0) loop_.ObserveStage(kBevEncoder, rate, result.bev_encoder_s);
  if (result.action_expert_s > 0.0) loop_.ObserveStage(kActionExpert, rate, result.action_expert_s);
  loop_.ObserveStage(kTick, rate, result.tick_s);
  loop_.ObserveStage(kTotal, rate, absl::ToDoubleSeconds(now - work.arrived));
}

void PrometheusPlanningMetrics::CountRefusal(absl::StatusCode code) {
  answers_.refusals->At({metrics::CodeIndex(static_cast<int>(code))}).Add();
}

void PrometheusPlanningMetrics::ObserveSnapshot(const context::ContextSnapshot& snapshot) {
  const context::SnapshotTimings& timings = snapshot.timings;
  snapshots_.received->At().Add();
  loop_.ObserveSnapshotBytes(snapshot.kv.bytes().size());
  const std::array<double, 5> milliseconds = {timings.queue_ms, timings.encode_ms,
                                              timings.prefill_ms, timings.decision_ms,
                                              timings.total_ms};
  for (std::size_t i = 0; i < milliseconds.size(); ++i) {
    snapshots_.refresh->At({i}).Observe(1e-3 * milliseconds[i]);
  }
  snapshots_.transfer->At({0}).Observe(1e-3 * timings.transfer_ms);
  snapshots_.transfer->At({1}).Observe(1e-3 * timings.exposed_ms);
}

void PrometheusPlanningMetrics::CountRejectedSnapshot(std::string_view reason) {
  static const std::vector<std::string>* const reasons =
      new std::vector<std::string>(RejectionReasons());
  const auto found = std::find(reasons->begin(), reasons->end(), reason);
  const auto index = static_cast<std::size_t>(std::distance(reasons->begin(), found));
  snapshots_.rejected->At({std::min(index, reasons->size() - 1)}).Add();
}

void PrometheusPlanningMetrics::CountRefreshFailure() { snapshots_.refresh_failures->At().Add(); }

void PrometheusPlanningMetrics::CountLinkState(context::LinkState state) {
  link_.transitions->At({static_cast<std::size_t>(state)}).Add();
}

void PrometheusPlanningMetrics::CountForwardFailure(absl::StatusCode code) {
  link_.forward_failures->At({metrics::CodeIndex(static_cast<int>(code))}).Add();
}

void PrometheusPlanningMetrics::SetSessions(uint32_t count) { load_.sessions->At().Set(count); }

void PrometheusPlanningMetrics::CountEpisode() { load_.episodes->At().Add(); }

void PrometheusPlanningMetrics::CountAdoption() { load_.adopted->At().Add(); }

void PrometheusPlanningMetrics::CountConnectionRefusal() { load_.connection_refusals->At().Add(); }

void PrometheusPlanningMetrics::CountQuotaRefusal(rpc::ClientQuota quota) {
  load_.quota_refusals->At({static_cast<std::size_t>(quota)}).Add();
}

}  // namespace automot::planning
