// The planning service without gRPC: sessions, ingest, the snapshot store, the planning loop, and
// the link to the reasoning producer.
//
// Threads: every method may be called from any thread but the planning thread. Plan's `done` is
// called exactly once, on a responder thread, or inline where the plan is refused.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/context/snapshot_channel.h"
#include "common/time/clock.h"
#include "services/planning/action_expert.h"
#include "services/planning/context_keeper.h"
#include "services/planning/plan_pipeline.h"
#include "services/planning/plan_recorder.h"
#include "services/planning/planning_loop.h"
#include "services/planning/planning_metrics.h"
#include "services/planning/session_table.h"
#include "services/planning/session_token.h"

namespace automot::planning {

struct PlanningEngineOptions {
  uint32_t session_limit = 256;
  uint32_t client_session_limit = 0;  // sessions that one client opened; 0: no limit of its own
  // Of the first session. A program begins where none of its predecessors was, so that a writer
  // that outlived its session is never taken for that of a later one of the same name.
  uint64_t first_lease = 1;
  uint32_t retained_versions = 4;
  absl::Duration session_lease = absl::Minutes(10);  // wall time without a request
  absl::Duration park_limit = absl::Seconds(10);  // wall time that a plan waits on purpose at most
  // Asked of the producer; absent: as it computes them.
  std::optional<context::ContextLayout::ElementType> context_element_type;
  context::MemoryBudget::Options memory;  // of contexts; the expert says what a usual one takes
  PlanningLoop::Options loop;
  // Signs resume tokens (session_token.h): replicas with the same key adopt each other's sessions.
  // Empty: tokens mean something here only.
  std::string session_key;
  // For a replay, in place of epochs minted from the calendar clock.
  std::function<uint64_t(const Session& session, uint64_t last)> mint_epoch;
};

// A plan as a handler hands it in.
struct PlanCall {
  std::string session;
  uint64_t lease = 0;
  uint64_t sequence = 0;
  Observation observation;
  ContextChoice choice;
  std::optional<OnExpired> on_expired;
  absl::Duration arrived;                              // wall monotonic
  absl::Duration deadline = absl::InfiniteDuration();  // wall monotonic
  absl::Duration order_by = absl::InfiniteDuration();  // as PlanWork has it
  std::optional<absl::Duration> park_at_most;          // wall time; absent: the engine's limit
  std::shared_ptr<std::atomic<bool>> cancelled;        // may be null
  // automot.v1.PlanRequest as it came, for the recorder; null where it wants none or none came.
  std::shared_ptr<const std::string> encoded;
};

// Outcome of a plan. `work` is set where `status` is OK, and valid during the call.
struct PlanAnswer {
  absl::Status status;
  absl::Duration retry_after;  // above zero where refused for load
  const PlanWork* work = nullptr;
};

struct OpenedSession {
  std::string resume_token;
  uint64_t lease = 0;
  uint32_t episode = 0;
};

struct SessionStatus {
  uint32_t episode = 0;
  SnapshotId latest;
  std::optional<SessionTimeUs> latest_capture_us;
  std::optional<SessionTimeUs> observation_us;
  uint32_t retained = 0;
  context::LinkState link_state = context::LinkState::kDown;
  std::string link_message;
  uint32_t parked = 0;
  uint64_t answered = 0, published = 0, rejected = 0, fallback = 0;
  bool recovering = false;
};

class PlanningEngine {
 public:
  // All pointers must outlive the engine; `recorder` may be null. Warms the expert up.
  static absl::StatusOr<std::unique_ptr<PlanningEngine>> Create(
      const PlanningEngineOptions& options, ActionExpert* expert, context::SnapshotChannel* channel,
      const Clock* clock, PlanningMetrics* metrics, PlanRecorder* recorder = nullptr);
  ~PlanningEngine();

  // `client`: who asks, as rpc::ClientIdentityOf has it. A session stays that of who opened it.
  absl::StatusOr<OpenedSession> OpenSession(const std::string& name,
                                            const std::string& resume_token,
                                            const SessionOptions& options,
                                            const std::string& client = "");
  // RESOURCE_EXHAUSTED where `client` has as many sessions open as one client may.
  absl::Status CheckClient(const std::string& client) const {
    return sessions_.CheckClient(client);
  }
  // Under the same lease, with the token that stands for the new episode.
  absl::StatusOr<OpenedSession> ResetSession(const std::string& name, uint64_t lease);
  absl::Status CloseSession(const std::string& name, uint64_t lease);
  // Wall time until the lease ends unless renewed.
  absl::StatusOr<absl::Duration> KeepAlive(const std::string& name, uint64_t lease);

  void Plan(PlanCall call, std::function<void(const PlanAnswer&)> done);
  // True where handlers shall fill PlanCall::encoded.
  bool wants_requests() const { return recorder_->wants_requests(); }

  // For a replay, which keeps the order of a recorded run and plans nothing by Plan. TakeIn does
  // what Plan does up to the planning queue, RunHere is the work's tick, on the calling thread,
  // without waiting on purpose; AttachAnew asks for snapshots under a new epoch.
  absl::StatusOr<std::unique_ptr<PlanWork>> TakeIn(PlanCall call);
  void RunHere(PlanWork& work) { pipeline_->Run(work, /*may_park=*/false); }
  absl::Status AttachAnew(const std::string& name);

  // Tells the planning thread to look for cancelled work.
  void NoticeCancellation() { loop_->Poke(); }

  struct Pinned {
    uint64_t context_lease = 0;
    SnapshotId snapshot;
  };
  absl::StatusOr<Pinned> PinContext(const std::string& name, uint64_t lease,
                                    const std::optional<SnapshotId>& id, SessionTimeUs ttl_us);
  absl::Status ReleaseContext(const std::string& name, uint64_t lease, uint64_t context_lease);

  absl::StatusOr<SessionStatus> GetSessionStatus(const std::string& name);
  PlanningLoop::Load load() const { return loop_->load(); }
  context::MemoryBudget::Stats memory_stats() const { return memory_.stats(); }
  uint32_t session_count() const { return sessions_.size(); }
  const PlanningEngineOptions& options() const { return options_; }
  const ActionExpertInfo& model() const { return expert_->info(); }
  context::Lane lane() const { return channel_->lane(); }

  // Refuses new sessions and plans, releases what is parked, and waits until accepted plans are
  // answered.
  absl::Status Drain(absl::Duration deadline);
  bool draining() const { return draining_.load(std::memory_order_acquire); }

 private:
  PlanningEngine(const PlanningEngineOptions& options, ActionExpert* expert,
                 context::SnapshotChannel* channel, const Clock* clock, PlanningMetrics* metrics,
                 PlanRecorder* recorder);

  struct Begun {
    std::shared_ptr<Session> session;
    uint64_t lease = 0;  // of who opened it; another may have taken it over since
  };
  absl::StatusOr<Begun> OpenNew(const SessionToken& identity, const std::string& client);
  absl::StatusOr<Begun> OpenAdmitted(const SessionToken& identity, const std::string& client);
  absl::StatusOr<OpenedSession> Begin(const SessionToken& identity, const std::string& client);
  absl::StatusOr<OpenedSession> Adopt(const std::string& name, const std::string& resume_token,
                                      const std::string& client);
  absl::StatusOr<OpenedSession> TakeOver(const std::shared_ptr<Session>& session,
                                         const std::string& resume_token);
  absl::StatusOr<OpenedSession> NextLease(Session& session);
  absl::StatusOr<std::string> TokenOf(const Session& session, uint32_t episode) const;
  bool adopts() const { return !options_.session_key.empty(); }
  absl::StatusOr<std::unique_ptr<PlanWork>> Ingest(const std::shared_ptr<Session>& session,
                                                   PlanCall& call);
  absl::Status IngestUnder(Session& session, PlanCall& call, PlanWork* work)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(session.mutex);
  absl::Status Forward(Session& session, IngestedObservation& ingested)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(session.mutex);
  void Forget(const std::shared_ptr<Session>& session);
  // Closes the session where `condition` holds; false where it does not, or it was closed before.
  bool ForgetIf(const std::shared_ptr<Session>& session,
                absl::FunctionRef<bool(const SessionState&)> condition);
  void MaintenanceThread();
  void CloseIdleSessions();

  const PlanningEngineOptions options_;
  ActionExpert* const expert_;
  context::SnapshotChannel* const channel_;
  const Clock* const clock_;
  PlanningMetrics* const metrics_;
  PlanRecorder* const recorder_;  // never null

  SessionTable sessions_;
  std::atomic<uint64_t> highest_ended_lease_;
  context::MemoryBudget memory_;
  std::unique_ptr<ContextStore> store_;
  std::unique_ptr<ContextKeeper> keeper_;
  std::unique_ptr<PlanPipeline> pipeline_;
  std::unique_ptr<PlanningLoop> loop_;

  std::atomic<bool> draining_{false};
  std::mutex maintenance_mutex_;
  std::condition_variable stop_;
  bool stopping_ ABSL_GUARDED_BY(maintenance_mutex_) = false;
  std::thread maintenance_;
};

}  // namespace automot::planning
