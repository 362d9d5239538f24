#include "services/planning/planning_engine.h"

#include <sys/random.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/concurrency/thread_placement.h"
#include "common/logging/log.h"
#include "common/status/status_macros.h"
#include "services/planning/plan_failure.h"

namespace automot::planning {
namespace {

constexpr std::chrono::milliseconds kMaintenancePeriod{50};
constexpr absl::Duration kJanitorPeriod = absl::Milliseconds(20);
constexpr size_t kMaxPinsPerSession = 4;
constexpr SessionTimeUs kMaxPinUs = 60'000'000;
constexpr uint32_t kMaxRetained = 16;

absl::StatusOr<std::string> NewToken() {
  char bytes[16];
  if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
    return absl::InternalError("getrandom failed");
  return absl::BytesToHexString(absl::string_view(bytes, sizeof(bytes)));
}

// Simulated latency needs the versions that are published but not visible yet.
uint32_t RetainedVersions(uint32_t wanted, const SessionOptions& options) {
  const double invisible = std::ceil(static_cast<double>(options.simulated_latency_us) * 1e-6 *
                                     options.reasoning_rate_hz);
  return std::min<uint32_t>(kMaxRetained,
                            std::max<uint32_t>(wanted, static_cast<uint32_t>(invisible) + 2));
}

}  // namespace

absl::StatusOr<std::unique_ptr<PlanningEngine>> PlanningEngine::Create(
    const PlanningEngineOptions& options, ActionExpert* expert, context::SnapshotChannel* channel,
    const Clock* clock, PlanningMetrics* metrics) {
  AUTOMOT_RETURN_IF_ERROR(expert->WarmUp());
  std::unique_ptr<PlanningEngine> engine(
      new PlanningEngine(options, expert, channel, clock, metrics));
  context::StoreOptions store_options;
  store_options.sessions = options.session_limit;
  store_options.retained = options.retained_versions;
  store_options.max_retained = kMaxRetained;
  store_options.readers = PlanPipeline::ReadersNeeded(options.session_limit);
  store_options.pins_per_reader = PlanPipeline::kPinsPerReader;
  AUTOMOT_ASSIGN_OR_RETURN(engine->store_, ContextStore::Create(store_options));
  engine->store_->StartJanitor(kJanitorPeriod);
  AUTOMOT_ASSIGN_OR_RETURN(engine->pipeline_, PlanPipeline::Create(engine->store_.get(), expert,
                                                                   metrics, options.session_limit));
  engine->loop_ = std::make_unique<PlanningLoop>(options.loop, engine->pipeline_.get(), clock);
  engine->keeper_ =
      std::make_unique<ContextKeeper>(engine->store_.get(), expert, channel, clock, metrics,
                                      [loop = engine->loop_.get()] { loop->Poke(); });
  engine->maintenance_ = std::thread([raw = engine.get()] { raw->MaintenanceThread(); });
  return engine;
}

PlanningEngine::PlanningEngine(const PlanningEngineOptions& options, ActionExpert* expert,
                               context::SnapshotChannel* channel, const Clock* clock,
                               PlanningMetrics* metrics)
    : options_(options),
      expert_(expert),
      channel_(channel),
      clock_(clock),
      metrics_(metrics),
      sessions_(options.session_limit) {}

PlanningEngine::~PlanningEngine() {
  draining_.store(true, std::memory_order_release);
  {
    std::lock_guard lock(maintenance_mutex_);
    stopping_ = true;
  }
  stop_.notify_one();
  if (maintenance_.joinable()) maintenance_.join();
  for (const std::shared_ptr<Session>& session : sessions_.All()) Forget(session);
  loop_.reset();  // answers what is left; its last handles die here
  keeper_.reset();
  pipeline_.reset();
  store_.reset();
}

absl::StatusOr<std::shared_ptr<Session>> PlanningEngine::OpenNew(const std::string& name,
                                                                 const SessionOptions& options) {
  AUTOMOT_ASSIGN_OR_RETURN(std::string token, NewToken());
  AUTOMOT_ASSIGN_OR_RETURN(auto histogram,
                           lidar::HistogramBuilder::Create(expert_->info().lidar_histogram));
  static std::atomic<uint64_t> next_key{1};
  const uint64_t key = next_key.fetch_add(1, std::memory_order_relaxed);
  AUTOMOT_ASSIGN_OR_RETURN(
      const context::SessionHandle handle,
      store_->Open(key, /*episode=*/1, RetainedVersions(options_.retained_versions, options)));
  auto session =
      std::make_shared<Session>(name, std::move(token), key, handle, options, std::move(histogram));
  if (absl::Status status = sessions_.Insert(session); !status.ok()) {
    store_->Close(handle).IgnoreError();
    return status;
  }
  return session;
}

absl::StatusOr<OpenedSession> PlanningEngine::OpenSession(const std::string& name,
                                                          const std::string& resume_token,
                                                          const SessionOptions& options) {
  if (draining()) return absl::UnavailableError("the planning service is draining");
  const std::string& revision = expert_->info().model_revision;
  if (!options.required_model_revision.empty() && options.required_model_revision != revision) {
    return absl::FailedPreconditionError(absl::StrCat("options.required_model_revision is '",
                                                      options.required_model_revision,
                                                      "'; this service runs '", revision, "'"));
  }
  if (resume_token.empty()) {
    AUTOMOT_ASSIGN_OR_RETURN(const std::shared_ptr<Session> session, OpenNew(name, options));
    {
      std::lock_guard lock(session->mutex);
      session->state.last_activity = clock_->Now();
    }
    keeper_->Attach(session);
    metrics_->SetSessions(sessions_.size());
    AUTOMOT_LOG(kInfo, "session_opened", {{"session", name}});
    return OpenedSession{session->resume_token, 1,
                         session->episode.load(std::memory_order_acquire)};
  }
  const std::shared_ptr<Session> session = sessions_.Find(name);
  if (session == nullptr) {
    return absl::UnimplementedError(absl::StrCat(
        "session '", name,
        "' is not open here; adopting a session of another replica is not implemented"));
  }
  if (session->resume_token != resume_token) {
    return absl::PermissionDeniedError(
        absl::StrCat("resume_token does not belong to session '", name, "'"));
  }
  std::lock_guard lock(session->mutex);
  session->state.last_activity = clock_->Now();
  session->state.last_sequence = 0;
  session->newest_sequence.store(0, std::memory_order_release);
  return OpenedSession{session->resume_token, ++session->state.lease,
                       session->episode.load(std::memory_order_acquire)};
}

absl::StatusOr<uint32_t> PlanningEngine::ResetSession(const std::string& name, uint64_t lease) {
  AUTOMOT_ASSIGN_OR_RETURN(const std::shared_ptr<Session> session,
                           sessions_.FindForWriter(name, lease));
  uint32_t episode = 0;
  {
    std::lock_guard lock(session->mutex);
    episode = session->episode.load(std::memory_order_relaxed) + 1;
    // Order matters: the snapshots vanish before any plan of the new episode can be accepted.
    AUTOMOT_RETURN_IF_ERROR(store_->Reset(session->store_handle, episode));
    session->episode.store(episode, std::memory_order_release);
    session->state.ingest.Reset();
    session->state.pins.clear();
    session->state.last_activity = clock_->Now();
  }
  const absl::Status told = channel_->Reset(session->key, episode);
  if (!told.ok()) {
    AUTOMOT_LOG(kWarning, "episode_not_told", {{"session", name}, {"why", told.ToString()}});
  }
  metrics_->CountEpisode();
  loop_->Poke();  // parked plans of the old episode end
  return episode;
}

absl::Status PlanningEngine::CloseSession(const std::string& name, uint64_t lease) {
  const auto session = sessions_.FindForWriter(name, lease);
  if (absl::IsNotFound(session.status())) return absl::OkStatus();
  AUTOMOT_RETURN_IF_ERROR(session.status());
  Forget(*session);
  AUTOMOT_LOG(kInfo, "session_closed", {{"session", name}});
  return absl::OkStatus();
}

void PlanningEngine::Forget(const std::shared_ptr<Session>& session) {
  {
    std::lock_guard lock(session->mutex);
    if (std::exchange(session->state.closed, true)) return;
    session->state.pins.clear();
  }
  keeper_->Detach(*session);
  store_->Close(session->store_handle).IgnoreError();
  sessions_.Erase(*session);
  metrics_->SetSessions(sessions_.size());
  loop_->Poke();
}

absl::StatusOr<absl::Duration> PlanningEngine::KeepAlive(const std::string& name, uint64_t lease) {
  AUTOMOT_ASSIGN_OR_RETURN(const std::shared_ptr<Session> session,
                           sessions_.FindForWriter(name, lease));
  std::lock_guard lock(session->mutex);
  session->state.last_activity = clock_->Now();
  return options_.session_lease;
}

std::shared_ptr<const PinnedContext> PlanningEngine::FindPin(Session& session, SnapshotId id) {
  id.session = session.key;
  for (const std::shared_ptr<const PinnedContext>& pin : session.state.pins) {
    if (pin->handle.id() == id) return pin;
  }
  return nullptr;
}

absl::StatusOr<std::unique_ptr<PlanWork>> PlanningEngine::Ingest(
    const std::shared_ptr<Session>& session, PlanCall& call) {
  auto work = std::make_unique<PlanWork>();
  {
    std::lock_guard lock(session->mutex);
    SessionState& state = session->state;
    if (state.closed)
      return absl::NotFoundError(absl::StrCat("session '", call.session, "' is not open"));
    if (state.lease != call.lease) {
      return absl::AbortedError(absl::StrCat("lease is ", call.lease, "; session '", call.session,
                                             "' is written under lease ", state.lease, " now"));
    }
    if (call.sequence == state.last_sequence && call.sequence != 0) {
      return absl::AlreadyExistsError(
          absl::StrCat("sequence ", call.sequence, " was accepted already"));
    }
    if (call.sequence <= state.last_sequence) {
      return absl::InvalidArgumentError(
          absl::StrCat("sequence is ", call.sequence, "; it must be above ", state.last_sequence));
    }
    const uint32_t episode = session->episode.load(std::memory_order_relaxed);
    AUTOMOT_ASSIGN_OR_RETURN(
        IngestedObservation ingested,
        state.ingest.Take(call.observation, expert_->info(), session->key, episode, call.sequence));
    state.last_sequence = call.sequence;
    state.last_activity = clock_->Now();
    session->newest_sequence.store(call.sequence, std::memory_order_release);
    std::erase_if(state.pins, [&](const std::shared_ptr<const PinnedContext>& pin) {
      return pin->expires_us < call.observation.capture_time_us;
    });
    work->episode = episode;
    work->camera = std::move(ingested.camera);
    work->lidar = std::move(ingested.lidar);
    work->camera_age_us = ingested.camera_age_us;
    work->lidar_age_us = ingested.lidar_age_us;
    work->ingest_reasons = ingested.reasons;
    work->required_capture_us = ingested.required_capture_us;
    if (call.choice.kind == ContextChoice::Kind::kExactly)
      work->pinned = FindPin(*session, call.choice.id);
    context::SlowObservationPtr slow = std::move(ingested.slow);
    // Submitted under the session's lock: the producer sees a session's observations in order.
    if (slow != nullptr) {
      const absl::Status forwarded = channel_->Submit(std::move(slow));
      if (!forwarded.ok()) metrics_->CountForwardFailure(forwarded.code());
      // A lockstep path is lossless: a frame that cannot be forwarded is an error (semantics 5).
      if (!forwarded.ok() && session->options.time_mode == TimeMode::kLockstep) return forwarded;
    }
  }
  work->session = session;
  work->sequence = call.sequence;
  work->capture_time_us = call.observation.capture_time_us;
  work->ego = call.observation.ego;
  work->target = call.observation.target;
  work->bev_feature = call.observation.bev_feature;
  work->choice = call.choice;
  work->choice.id.session = session->key;
  work->on_expired = call.on_expired.value_or(session->options.on_expired);
  work->arrived = call.arrived;
  work->deadline = call.deadline;
  work->park_limit = clock_->Now() + options_.park_limit;
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
    done({status, absl::ZeroDuration(), &finished});
  };
  absl::Duration retry_after;
  const absl::Status accepted = loop_->Submit(*work, &retry_after);
  if (!accepted.ok()) refuse(accepted, retry_after);
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
  std::lock_guard lock(session->mutex);
  SessionState& state = session->state;
  if (state.pins.size() >= kMaxPinsPerSession) {
    return absl::ResourceExhaustedError(absl::StrCat("session '", name, "' has ", state.pins.size(),
                                                     " pins; the limit is ", kMaxPinsPerSession));
  }
  AUTOMOT_ASSIGN_OR_RETURN(ContextStore::Handle handle, pipeline_->PinFor(*session, id));
  auto pin = std::make_shared<PinnedContext>();
  pin->lease = state.next_pin_lease++;
  pin->expires_us = state.ingest.newest_time_us().value_or(0) + ttl_us;
  pin->handle = std::move(handle);
  const Pinned pinned{pin->lease, pin->handle.id()};
  state.pins.push_back(std::move(pin));
  return pinned;
}

absl::Status PlanningEngine::ReleaseContext(const std::string& name, uint64_t lease,
                                            uint64_t context_lease) {
  AUTOMOT_ASSIGN_OR_RETURN(const std::shared_ptr<Session> session,
                           sessions_.FindForWriter(name, lease));
  std::lock_guard lock(session->mutex);
  std::erase_if(session->state.pins, [&](const std::shared_ptr<const PinnedContext>& pin) {
    return pin->lease == context_lease;
  });
  return absl::OkStatus();
}

absl::StatusOr<SessionStatus> PlanningEngine::GetSessionStatus(const std::string& name) {
  const std::shared_ptr<Session> session = sessions_.Find(name);
  if (session == nullptr)
    return absl::NotFoundError(absl::StrCat("session '", name, "' is not open"));
  SessionStatus status;
  {
    std::lock_guard lock(session->mutex);
    if (session->state.closed) {
      return absl::NotFoundError(absl::StrCat("session '", name, "' is not open"));
    }
    status.observation_us = session->state.ingest.newest_time_us();
    status.link_state = session->state.link_state;
    status.link_message = session->state.link_message;
  }
  if (const auto latest = pipeline_->PinFor(*session, std::nullopt); latest.ok()) {
    status.latest = latest->id();
    status.latest_capture_us = latest->capture_time_us();
  }
  status.retained = store_->Retained(session->store_handle);
  status.episode = session->episode.load(std::memory_order_acquire);
  status.parked = session->parked.load(std::memory_order_relaxed);
  status.answered = session->plans_answered.load(std::memory_order_relaxed);
  status.fallback = session->plans_fallback.load(std::memory_order_relaxed);
  status.published = session->snapshots_published.load(std::memory_order_relaxed);
  status.rejected = session->snapshots_rejected.load(std::memory_order_relaxed);
  status.recovering = session->recovering.load(std::memory_order_relaxed);
  return status;
}

absl::Status PlanningEngine::Drain(absl::Duration deadline) {
  draining_.store(true, std::memory_order_release);
  loop_->Drain();
  const absl::Duration end = clock_->Now() + deadline;
  while (loop_->load().pending > 0) {
    if (clock_->Now() >= end) {
      return absl::DeadlineExceededError(
          absl::StrCat(loop_->load().pending, " plans are not answered yet"));
    }
    absl::SleepFor(absl::Milliseconds(2));
  }
  return absl::OkStatus();
}

void PlanningEngine::CloseIdleSessions() {
  const absl::Duration now = clock_->Now();
  for (const std::shared_ptr<Session>& session : sessions_.All()) {
    bool idle = false;
    {
      std::lock_guard lock(session->mutex);
      idle = now - session->state.last_activity > options_.session_lease;
    }
    if (idle) {
      AUTOMOT_LOG(kInfo, "session_expired", {{"session", session->name}});
      Forget(session);
    } else {
      keeper_->Maintain(session);
    }
  }
}

void PlanningEngine::MaintenanceThread() {
  NameThread("maintenance");
  LowerThreadPriority(10);
  for (;;) {
    {
      std::unique_lock lock(maintenance_mutex_);
      if (stop_.wait_for(lock, kMaintenancePeriod, [this] { return stopping_; })) return;
    }
    CloseIdleSessions();
  }
}

}  // namespace automot::planning
