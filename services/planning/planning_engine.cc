#include "services/planning/planning_engine.h"

#include <sys/random.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/concurrency/thread_placement.h"
#include "common/logging/log.h"
#include "common/status/status_macros.h"

namespace automot::planning {
namespace {

constexpr std::chrono::milliseconds kMaintenancePeriod{50};
constexpr absl::Duration kJanitorPeriod = absl::Milliseconds(20);
constexpr uint32_t kEarlyRefreshes = 6;  // that changed routes may add to the schedule's
constexpr uint32_t kMaxRetained = kMaxInvisibleVersions + kEarlyRefreshes + 2;

absl::StatusOr<std::string> NewToken() {
  char bytes[16];
  if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
    return absl::InternalError("getrandom failed");
  return absl::BytesToHexString(absl::string_view(bytes, sizeof(bytes)));
}

// Simulated latency needs the versions that are published but not visible yet.
uint32_t RetainedVersions(uint32_t wanted, const SessionOptions& options) {
  if (options.simulated_latency_us == 0) return wanted;
  const auto invisible = static_cast<uint32_t>(InvisibleVersions(options));
  return std::clamp(invisible + kEarlyRefreshes + 2, wanted, kMaxRetained);
}

// Raises `highest` to `value` where that is higher.
void Raise(std::atomic<uint64_t>& highest, uint64_t value) {
  uint64_t seen = highest.load(std::memory_order_relaxed);
  while (seen < value && !highest.compare_exchange_weak(seen, value, std::memory_order_acq_rel)) {
  }
}

ContextKeeper::Options KeeperOptions(const PlanningEngineOptions& options, PlanRecorder* recorder) {
  return {.element_type = options.context_element_type,
          .pool = {.byte_budget = options.memory.process_bytes},
          .mint_epoch = options.mint_epoch,
          .sessions_move = !options.session_key.empty(),
          .recorder = recorder};
}

PlanRecorder* NoRecorder() {
  static PlanRecorder none;
  return &none;
}

context::MemoryBudget::Options MemoryOptions(const PlanningEngineOptions& options,
                                             const ActionExpert& expert) {
  context::MemoryBudget::Options memory = options.memory;
  memory.expected_version_bytes =
      std::max(memory.expected_version_bytes, expert.info().usual_context_bytes);
  return memory;
}

}  // namespace

absl::StatusOr<std::unique_ptr<PlanningEngine>> PlanningEngine::Create(
    const PlanningEngineOptions& options, ActionExpert* expert, context::SnapshotChannel* channel,
    const Clock* clock, PlanningMetrics* metrics, PlanRecorder* recorder) {
  AUTOMOT_RETURN_IF_ERROR(expert->WarmUp(options.loop.max_batch));
  std::unique_ptr<PlanningEngine> engine(new PlanningEngine(
      options, expert, channel, clock, metrics, recorder != nullptr ? recorder : NoRecorder()));
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
  for (int batch = 1; batch <= options.loop.max_batch; ++batch) {
    const absl::Duration cost = expert->WarmCost(batch);
    if (cost > absl::ZeroDuration()) engine->loop_->ExpectCost(batch, cost);
  }
  engine->keeper_ = std::make_unique<ContextKeeper>(
      engine->store_.get(), &engine->memory_, expert, channel, clock, metrics,
      KeeperOptions(options, engine->recorder_), [loop = engine->loop_.get()] { loop->Poke(); });
  engine->maintenance_ = std::thread([raw = engine.get()] { raw->MaintenanceThread(); });
  return engine;
}

PlanningEngine::PlanningEngine(const PlanningEngineOptions& options, ActionExpert* expert,
                               context::SnapshotChannel* channel, const Clock* clock,
                               PlanningMetrics* metrics, PlanRecorder* recorder)
    : options_(options),
      expert_(expert),
      channel_(channel),
      clock_(clock),
      metrics_(metrics),
      recorder_(recorder),
      sessions_(options.session_limit, options.client_session_limit),
      highest_ended_lease_(options.first_lease - 1),
      memory_(MemoryOptions(options, *expert)) {}

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

absl::StatusOr<PlanningEngine::Begun> PlanningEngine::OpenNew(const SessionToken& identity,
                                                              const std::string& client) {
  if (absl::Status allowed = sessions_.CheckClient(client); !allowed.ok()) {
    metrics_->CountQuotaRefusal(rpc::ClientQuota::kSessions);
    return allowed;
  }
  AUTOMOT_RETURN_IF_ERROR(memory_.Open());
  auto begun = OpenAdmitted(identity, client);
  if (!begun.ok()) memory_.Close();
  return begun;
}

absl::StatusOr<PlanningEngine::Begun> PlanningEngine::OpenAdmitted(const SessionToken& identity,
                                                                   const std::string& client) {
  AUTOMOT_ASSIGN_OR_RETURN(auto histogram,
                           lidar::HistogramBuilder::Create(expert_->info().lidar_histogram));
  static std::atomic<uint64_t> next_key{1};
  const uint64_t key = next_key.fetch_add(1, std::memory_order_relaxed);
  AUTOMOT_ASSIGN_OR_RETURN(
      const context::SessionHandle handle,
      store_->Open(key, identity.episode,
                   RetainedVersions(options_.retained_versions, identity.options)));
  auto session = std::make_shared<Session>(identity.session, identity.secret, key, handle,
                                           identity.options, std::move(histogram), client);
  session->episode.store(identity.episode, std::memory_order_release);
  // Who finds it by its name waits until it has its lease: it may be adopted twice at once.
  const std::lock_guard lock(session->mutex);
  session->state.last_activity = clock_->Now();
  if (absl::Status status = sessions_.Insert(session); !status.ok()) {
    store_->Close(handle).IgnoreError();
    return status;
  }
  // Only now are all earlier sessions of this name ended, and their leases known.
  const uint64_t lease = highest_ended_lease_.load(std::memory_order_acquire) + 1;
  session->state.lease = lease;
  recorder_->OnSessionOpened(*session, lease);
  return Begun{std::move(session), lease};
}

absl::StatusOr<OpenedSession> PlanningEngine::OpenSession(const std::string& name,
                                                          const std::string& resume_token,
                                                          const SessionOptions& options,
                                                          const std::string& client) {
  if (draining()) return absl::UnavailableError("the planning service is draining");
  const std::string& revision = expert_->info().model_revision;
  if (!options.required_model_revision.empty() && options.required_model_revision != revision) {
    return absl::FailedPreconditionError(absl::StrCat("options.required_model_revision is '",
                                                      options.required_model_revision,
                                                      "'; this service runs '", revision, "'"));
  }
  if (resume_token.empty()) {
    AUTOMOT_ASSIGN_OR_RETURN(std::string secret, NewToken());
    return Begin({.session = name, .secret = std::move(secret), .options = options}, client);
  }
  const std::shared_ptr<Session> session = sessions_.Find(name);
  return session != nullptr ? TakeOver(session, resume_token) : Adopt(name, resume_token, client);
}

absl::StatusOr<std::string> PlanningEngine::TokenOf(const Session& session,
                                                    uint32_t episode) const {
  if (!adopts()) return session.resume_token;
  return SignToken({.session = session.name,
                    .secret = session.resume_token,
                    .episode = episode,
                    .options = session.options},
                   options_.session_key);
}

absl::StatusOr<OpenedSession> PlanningEngine::Begin(const SessionToken& identity,
                                                    const std::string& client) {
  AUTOMOT_ASSIGN_OR_RETURN(const Begun begun, OpenNew(identity, client));
  const std::shared_ptr<Session>& session = begun.session;
  keeper_->Attach(session);
  metrics_->SetSessions(sessions_.size());
  AUTOMOT_LOG(kInfo, "session_opened", {{"session", session->name}});
  AUTOMOT_ASSIGN_OR_RETURN(std::string token, TokenOf(*session, identity.episode));
  return OpenedSession{std::move(token), begun.lease, identity.episode};
}

// What the other replica had is not here: the session's first plans are without context, its first
// sweeps half, and its first snapshots of short history, each flagged. The epoch under which it is
// attached fences the other replica.
absl::StatusOr<OpenedSession> PlanningEngine::Adopt(const std::string& name,
                                                    const std::string& resume_token,
                                                    const std::string& client) {
  if (!adopts()) {
    return absl::UnimplementedError(
        absl::StrCat("session '", name,
                     "' is not open here; adopting a session of another replica needs "
                     "--session-key-file"));
  }
  AUTOMOT_ASSIGN_OR_RETURN(const SessionToken token,
                           VerifyToken(resume_token, options_.session_key));
  if (token.session != name) {
    return absl::PermissionDeniedError(
        absl::StrCat("resume_token does not belong to session '", name, "'"));
  }
  AUTOMOT_ASSIGN_OR_RETURN(OpenedSession opened, Begin(token, client));
  metrics_->CountAdoption();
  AUTOMOT_LOG(kInfo, "session_adopted", {{"session", name}, {"episode", opened.episode}});
  return opened;
}

absl::StatusOr<OpenedSession> PlanningEngine::TakeOver(const std::shared_ptr<Session>& session,
                                                       const std::string& resume_token) {
  std::string secret = resume_token;
  if (adopts()) {
    AUTOMOT_ASSIGN_OR_RETURN(const SessionToken token,
                             VerifyToken(resume_token, options_.session_key));
    secret = token.session == session->name ? token.secret : "";
  }
  if (session->resume_token != secret) {
    return absl::PermissionDeniedError(
        absl::StrCat("resume_token does not belong to session '", session->name, "'"));
  }
  AUTOMOT_ASSIGN_OR_RETURN(OpenedSession opened, NextLease(*session));
  // It may come back from another replica, which has been served meanwhile: fenced in its turn.
  if (adopts()) keeper_->Attach(session);
  return opened;
}

absl::StatusOr<OpenedSession> PlanningEngine::NextLease(Session& session) {
  const std::lock_guard lock(session.mutex);
  const uint32_t episode = session.episode.load(std::memory_order_relaxed);
  AUTOMOT_ASSIGN_OR_RETURN(std::string token, TokenOf(session, episode));
  if (session.state.closed) {
    return absl::UnavailableError(absl::StrCat("session '", session.name, "' is being closed"));
  }
  session.state.moved_away = false;
  session.state.last_activity = clock_->Now();
  session.state.last_sequence = 0;
  session.newest_sequence.store(0, std::memory_order_release);
  recorder_->OnSessionOpened(session, ++session.state.lease);
  return OpenedSession{std::move(token), session.state.lease, episode};
}

absl::StatusOr<OpenedSession> PlanningEngine::ResetSession(const std::string& name,
                                                           uint64_t lease) {
  AUTOMOT_ASSIGN_OR_RETURN(const std::shared_ptr<Session> session,
                           sessions_.FindForWriter(name, lease));
  uint32_t episode = 0;
  std::string token;
  {
    std::lock_guard lock(session->mutex);
    AUTOMOT_RETURN_IF_ERROR(SessionTable::CheckWriter(*session, lease));  // another may have come
    episode = session->episode.load(std::memory_order_relaxed) + 1;
    AUTOMOT_ASSIGN_OR_RETURN(token, TokenOf(*session, episode));
    // Order matters: the snapshots vanish before any plan of the new episode can be accepted.
    AUTOMOT_RETURN_IF_ERROR(store_->Reset(session->store_handle, episode));
    session->episode.store(episode, std::memory_order_release);
    session->state.ingest.Reset();
    session->state.pins.clear();
    session->state.awaited.reset();
    session->lost_refreshes.Clear();
    session->state.last_activity = clock_->Now();
    recorder_->OnSessionReset(*session, episode);
  }
  const absl::Status told = channel_->Reset(session->key, episode);
  if (!told.ok()) {
    AUTOMOT_LOG(kWarning, "episode_not_told", {{"session", name}, {"why", told.ToString()}});
  }
  metrics_->CountEpisode();
  loop_->Poke();  // parked plans of the old episode end
  return OpenedSession{std::move(token), lease, episode};
}

absl::Status PlanningEngine::CloseSession(const std::string& name, uint64_t lease) {
  const auto session = sessions_.FindForWriter(name, lease);
  if (absl::IsNotFound(session.status())) return absl::OkStatus();
  AUTOMOT_RETURN_IF_ERROR(session.status());
  // Under the lock that sees the lease: one who has taken the session over keeps it.
  if (!ForgetIf(*session, [lease](const SessionState& state) { return state.lease == lease; })) {
    const std::lock_guard lock((*session)->mutex);
    const absl::Status writer = SessionTable::CheckWriter(**session, lease);
    return absl::IsNotFound(writer) ? absl::OkStatus() : writer;
  }
  AUTOMOT_LOG(kInfo, "session_closed", {{"session", name}});
  return absl::OkStatus();
}

void PlanningEngine::Forget(const std::shared_ptr<Session>& session) {
  ForgetIf(session, [](const SessionState&) { return true; });
}

bool PlanningEngine::ForgetIf(const std::shared_ptr<Session>& session,
                              absl::FunctionRef<bool(const SessionState&)> condition) {
  {
    const std::lock_guard lock(session->mutex);
    if (session->state.closed || !condition(session->state)) return false;
    session->state.closed = true;
    Raise(highest_ended_lease_, session->state.lease);
    session->state.pins.clear();
    session->state.awaited.reset();
    recorder_->OnSessionClosed(*session);
  }
  keeper_->Detach(*session);
  store_->Close(session->store_handle).IgnoreError();
  sessions_.Erase(*session);
  memory_.Close();
  metrics_->SetSessions(sessions_.size());
  loop_->Poke();  // parked plans of the session end
  return true;
}

absl::StatusOr<absl::Duration> PlanningEngine::KeepAlive(const std::string& name, uint64_t lease) {
  AUTOMOT_ASSIGN_OR_RETURN(const std::shared_ptr<Session> session,
                           sessions_.FindForWriter(name, lease));
  std::lock_guard lock(session->mutex);
  AUTOMOT_RETURN_IF_ERROR(SessionTable::CheckWriter(*session, lease));
  session->state.last_activity = clock_->Now();
  return options_.session_lease;
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
  const SessionTimeUs now_us = status.observation_us.value_or(0);
  if (const auto latest = pipeline_->PinFor(*session, std::nullopt, now_us); latest.ok()) {
    status.latest = latest->id();
    status.latest_capture_us = latest->capture_time_us();
  }
  status.episode = session->episode.load(std::memory_order_acquire);
  status.retained = store_->Retained(session->store_handle);
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
  if (loop_->AwaitIdle(deadline)) return absl::OkStatus();
  return absl::DeadlineExceededError(
      absl::StrCat(loop_->load().pending, " plans are not answered yet"));
}

void PlanningEngine::CloseIdleSessions() {
  const absl::Duration now = clock_->Now();
  for (const std::shared_ptr<Session>& session : sessions_.All()) {
    // Closed under the lock that saw it idle: a plan in between would find it gone.
    if (ForgetIf(session, [&](const SessionState& state) {
          return state.moved_away || now - state.last_activity > options_.session_lease;
        })) {
      AUTOMOT_LOG(kInfo, "session_ended",
                  {{"session", session->name}, {"why", "idle, or adopted by another replica"}});
    } else if (!adopts() || !draining()) {  // one that drains leaves its sessions to others
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
