// The reasoning service without its transport: sessions, history, refresh scheduling, the worker
// that owns the understanding expert, and scene questions. It is itself the in-process lane:
// snapshots are handed over by pointer.
//
// Threads: every method may be called from any thread and none blocks on refresh work. Receivers
// are called on the worker's thread (snapshots, failures) and on a link thread (link states), one
// call at a time per session; never on a caller's stack. Ownership: receivers outlive their
// attachments (Detach); the engine keeps observations and snapshots alive only while it works.
//
// A session is known by its name, whoever serves it; its owner is the attachment of the newest
// epoch (fencing token, semantics 2).
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/context/kv_buffer_pool.h"
#include "common/context/snapshot_channel.h"
#include "common/scheduling/batch_costs.h"
#include "common/time/clock.h"
#include "services/reasoning/link_thread.h"
#include "services/reasoning/reasoning_events.h"
#include "services/reasoning/reasoning_worker.h"
#include "services/reasoning/session_table.h"
#include "services/reasoning/work_source.h"

namespace automot::reasoning {

struct ReasoningOptions {
  SessionLimits limits;
  std::size_t waiting_questions = 8;
  SessionTimeUs history_tolerance_us = 60'000;  // semantics 3
  // Part of the expert's time that the declared rates of all sessions may ask for; 0: no limit, and
  // too many sessions are all refreshed less often.
  double max_refresh_load = 0.0;
  ReasoningWorker::Options worker;
  context::KvBufferPool::Options pool;
};

// State and monotonic counters since the start.
struct ReasoningStatus {
  UnderstandingExpertInfo expert;  // default until ready
  bool ready = false;
  bool draining = false;
  std::size_t sessions = 0;
  std::size_t session_limit = 0;
  uint64_t refreshes = 0;
  uint64_t refreshes_failed = 0;
  uint64_t refreshes_dropped =
      0;  // the episode or epoch ended before the snapshot could be published
  uint64_t superseded = 0;
  uint64_t vision_cache_hits = 0;
};

class ReasoningEngine final : public context::SnapshotChannel, private WorkSource {
 public:
  // Starts loading and warming the expert at once. `clock` and `events` outlive the engine.
  ReasoningEngine(const ReasoningOptions& options, ExpertFactory factory, const Clock* clock,
                  ReasoningEvents* events = ReasoningEvents::None());
  ~ReasoningEngine() override;

  // Blocks until the expert is warm. Its error where it never will be; DEADLINE_EXCEEDED after
  // `timeout`.
  absl::Status WaitUntilReady(absl::Duration timeout) const;
  // Calls `on_ready` once, on the worker's thread (or at once), when the expert is warm or never
  // will be.
  void NotifyWhenReady(std::function<void(const absl::Status&)> on_ready);

  // The lane in process. Beyond the interface's errors: UNAVAILABLE while the expert is not ready
  // and while draining; FAILED_PRECONDITION for another model revision; ABORTED for an epoch that
  // is not above the one in force.
  absl::Status Attach(const context::AttachRequest& request,
                      context::SnapshotReceiver* receiver) override;
  // An observation of an older episode is dropped (OK), of a newer one starts that episode.
  // INVALID_ARGUMENT: a later observation (by sequence) of an earlier time. RESOURCE_EXHAUSTED:
  // lossless queue full; the frames have entered the history.
  absl::Status Submit(context::SlowObservationPtr observation) override;
  absl::Status Reset(uint64_t session, uint32_t episode) override;
  void Detach(uint64_t session) override;
  context::Lane lane() const override { return context::Lane::kInProcess; }
  context::LinkStats stats() const override;

  // For transports. A number for AttachRequest::session that no planning service uses.
  uint64_t MintConsumer() { return next_consumer_.fetch_add(1, std::memory_order_relaxed); }
  absl::Status AttachSink(const context::AttachRequest& request, SnapshotSink* sink);
  // Adds a consumer beside the owner; it gets complete snapshots only. NOT_FOUND: the session has
  // no owner or listener.
  absl::Status Listen(const context::AttachRequest& request, SnapshotSink* sink);
  // Submit for a producer that knows the session by name. NOT_FOUND: no subscription. ABORTED:
  // `epoch` is not the one in force. Returns how many observations of the session were superseded
  // since attach.
  absl::StatusOr<uint64_t> SubmitByName(const std::string& name, uint64_t epoch,
                                        std::shared_ptr<context::SlowObservation> observation);
  // The session's consumer under `epoch` holds `version` complete and verified; 0: none. Unknown
  // sessions and other epochs are ignored.
  void NoteHeld(const std::string& name, uint64_t epoch, uint64_t version);
  // A sink sent a refresh's layers in `mode`.
  void NoteStreamed(LayerStreaming::Mode mode) { events_->OnStreamed(mode); }
  void NoteReplaced() { events_->OnReplaced(); }
  void NoteLoan(bool lent) { events_->OnLoan(lent); }
  // A sink has room again.
  void Wake();

  // Queues a question. NOT_FOUND: the session. FAILED_PRECONDITION: it has no frame.
  // RESOURCE_EXHAUSTED: too many wait. UNAVAILABLE: not ready, draining. On OK `on_done` will be
  // called. Returns the capture time that the answer is about.
  absl::StatusOr<SessionTimeUs> Ask(std::unique_ptr<SceneQuestion> question);

  // Takes no new sessions from now on and tells every consumer that it has until `deadline` to
  // leave.
  void BeginDrain();
  // Ends all work and tells every consumer that the link is down. Idempotent; the destructor calls
  // it.
  void Stop();

  ReasoningStatus status() const;
  context::KvBufferPool::Stats pool_stats() const { return pool_.stats(); }

 private:
  // WorkSource.
  void OnWarm(const absl::StatusOr<UnderstandingExpertInfo>& info) override;
  bool WaitForWork() override;
  std::vector<RefreshJob> TakeRefreshes() override;
  void OnRefreshed(int batch, absl::Duration took) override;
  std::unique_ptr<SceneQuestion> TakeQuestion() override;
  bool IsWanted(const RefreshJob& job) override;
  std::optional<SnapshotId> BeginSnapshot(const RefreshJob& job) override;
  void EndRefresh(const RefreshJob& job,
                  const absl::StatusOr<ContextRefresh::Result>& result) override;

  absl::Status AttachOwner(const context::AttachRequest& request,
                           context::SnapshotReceiver* receiver, SnapshotSink* sink);
  absl::Status CheckAdmission(const context::AttachRequest& request) const
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  absl::Status Accept(ReasoningSession& session, context::SlowObservationPtr observation)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Offer(ReasoningSession& session, context::SlowObservationPtr observation)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  RefreshJob Take(ReasoningSession& session, absl::Duration* due)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status CheckLoad(const context::AttachRequest& request) const
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  // The job's session while the job is still wanted, else null.
  ReasoningSession* Wanted(const RefreshJob& job) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Fail(const RefreshJob& job, const absl::Status& why);
  // Ends what waits for nobody: it makes room.
  void EndAbandonedQuestions() ABSL_LOCKS_EXCLUDED(mutex_);
  absl::StatusOr<SessionTimeUs> Enqueue(std::unique_ptr<SceneQuestion> question);
  void PostLinkState(AttachmentPtr to, context::LinkState state, absl::Status why);

  const ReasoningOptions options_;
  const Clock* const clock_;
  ReasoningEvents* const events_;
  context::KvBufferPool pool_;
  std::atomic<uint64_t> next_consumer_{uint64_t{1} << 63};

  mutable std::mutex mutex_;
  std::condition_variable work_;
  mutable std::condition_variable warmed_;
  SessionTable sessions_ ABSL_GUARDED_BY(mutex_);
  BatchCosts costs_ ABSL_GUARDED_BY(mutex_);
  std::deque<std::unique_ptr<SceneQuestion>> questions_ ABSL_GUARDED_BY(mutex_);
  ReasoningStatus status_ ABSL_GUARDED_BY(mutex_);
  context::LinkStats link_stats_ ABSL_GUARDED_BY(mutex_);
  std::optional<absl::Status> warm_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::function<void(const absl::Status&)>> on_ready_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;

  LinkThread link_;
  LinkThread quantiser_{"quantiser"};
  std::unique_ptr<ReasoningWorker> worker_;  // last: its thread uses everything above
};

}  // namespace automot::reasoning
