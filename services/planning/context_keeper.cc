#include "services/planning/context_keeper.h"

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/context/quantisation.h"
#include "common/logging/log.h"
#include "common/status/status_macros.h"

namespace automot::planning {
namespace {

// Short at the end as well: a producer that comes back after any outage serves within a second. An
// attempt at a service that is away costs a message that is never sent.
constexpr absl::Duration kFirstBackoff = absl::Milliseconds(100);
constexpr absl::Duration kLastBackoff = absl::Milliseconds(300);

// Newer than `last` and than anything minted before a restart of this process (semantics 2).
uint64_t MintEpoch(uint64_t last) {
  const auto wall = std::chrono::system_clock::now().time_since_epoch();
  return std::max<uint64_t>(last + 1,
                            std::chrono::duration_cast<std::chrono::microseconds>(wall).count());
}

}  // namespace

// One session's place at the channel. `mutex` makes attaching and detaching exclude each other, so
// that a session that is closed meanwhile is never attached again.
class ContextKeeper::Link final : public context::SnapshotReceiver {
 public:
  Link(ContextKeeper* keeper, std::shared_ptr<Session> session)
      : session(std::move(session)), keeper_(keeper) {}

  void OnSnapshot(context::SnapshotPtr snapshot) override {
    keeper_->OnSnapshot(*session, std::move(snapshot));
  }
  void OnRefreshFailed(uint64_t, SessionTimeUs capture_time_us, const absl::Status& why) override {
    keeper_->OnRefreshFailed(*session, capture_time_us, why);
  }
  void OnLinkState(context::LinkState state, const absl::Status& why) override {
    keeper_->OnLinkState(*session, state, why);
  }

  const std::shared_ptr<Session> session;
  std::mutex mutex;
  bool detached ABSL_GUARDED_BY(mutex) = false;

 private:
  ContextKeeper* const keeper_;
};

ContextKeeper::ContextKeeper(ContextStore* store, context::MemoryBudget* memory,
                             ActionExpert* expert, context::SnapshotChannel* channel,
                             const Clock* clock, PlanningMetrics* metrics, const Options& options,
                             std::function<void()> on_event)
    : store_(store),
      memory_(memory),
      expert_(expert),
      channel_(channel),
      clock_(clock),
      metrics_(metrics),
      options_(options),
      on_event_(std::move(on_event)),
      pool_(options.pool) {}

ContextKeeper::~ContextKeeper() = default;

// Null where the session is closed: Detach, which comes after the closing, must find every link.
std::shared_ptr<ContextKeeper::Link> ContextKeeper::LinkOf(
    const std::shared_ptr<Session>& session) {
  const std::lock_guard lock(mutex_);
  {
    const std::lock_guard session_lock(session->mutex);
    if (session->state.closed) return nullptr;
  }
  std::shared_ptr<Link>& link = links_[session->key];
  if (link == nullptr) link = std::make_shared<Link>(this, session);
  return link;
}

void ContextKeeper::Attach(const std::shared_ptr<Session>& session) {
  const std::shared_ptr<Link> link = LinkOf(session);
  if (link == nullptr) return;
  const std::lock_guard lock(link->mutex);
  if (!link->detached) AttachUnder(*link);
}

void ContextKeeper::AttachUnder(Link& link) {
  Session& session = *link.session;
  context::AttachRequest request;
  {
    const std::lock_guard lock(session.mutex);
    session.state.epoch = options_.mint_epoch ? options_.mint_epoch(session, session.state.epoch)
                                              : MintEpoch(session.state.epoch);
    session.state.attach_wanted = false;
    request.epoch = session.state.epoch;
  }
  request.session = session.key;
  request.session_name = session.name;
  request.episode = session.episode.load(std::memory_order_acquire);
  request.reasoning_rate_hz = session.options.reasoning_rate_hz;
  request.staleness_budget_us = session.options.hard_staleness_us;
  request.lossless = session.options.time_mode != TimeMode::kRealtime;
  request.model_revision = expert_->info().model_revision;
  request.element_type = options_.element_type;
  absl::Status status = store_->Fence(session.store_handle, request.epoch);
  session.announced_version.store(0, std::memory_order_release);
  session.epoch_in_force.store(request.epoch, std::memory_order_release);
  options_.recorder->OnAttached(session, request.episode, request.epoch);
  if (status.ok()) status = channel_->Attach(request, &link);
  if (!status.ok()) return OnLinkState(session, context::LinkState::kDown, status);
  const std::lock_guard lock(session.mutex);
  session.state.attached_epoch = request.epoch;
}

void ContextKeeper::Maintain(const std::shared_ptr<Session>& session) {
  {
    const std::lock_guard lock(session->mutex);
    const SessionState& state = session->state;
    if (state.closed || !state.attach_wanted || clock_->Now() < state.next_attach) return;
  }
  Attach(session);
}

void ContextKeeper::Detach(const Session& session) {
  std::shared_ptr<Link> link;
  {
    const std::lock_guard lock(mutex_);
    const auto at = links_.find(session.key);
    if (at == links_.end()) return;
    link = std::move(at->second);
    links_.erase(at);
  }
  const std::lock_guard lock(link->mutex);
  link->detached = true;
  channel_->Detach(session.key);
}

void ContextKeeper::OnSnapshot(Session& session, context::SnapshotPtr snapshot) {
  const context::SnapshotHeader& header = snapshot->header;
  const context::VersionInfo info{header.id, header.capture_time_us,
                                  header.capture_time_us + session.options.simulated_latency_us};
  auto refusal = context::MemoryBudget::Refusal::kNone;
  auto charge = Charge(session, PreparedBytes(*snapshot), &refusal);
  if (!charge.ok()) {
    AUTOMOT_LOG(kWarning, "snapshot_refused",
                {{"session", session.name},
                 {"version", info.id.version},
                 {"why", charge.status().ToString()}});
    return OnRejected(
        session, info,
        refusal == context::MemoryBudget::Refusal::kSession ? "memory_session" : "memory_process");
  }
  const context::SnapshotPtr received = snapshot;
  auto prepared = Prepare(&snapshot);
  if (!prepared.ok()) {
    AUTOMOT_LOG(kWarning, "snapshot_refused",
                {{"session", session.name},
                 {"version", info.id.version},
                 {"why", prepared.status().ToString()}});
    return OnRejected(session, info, "does_not_fit");
  }
  metrics_->ObserveSnapshot(*received);
  const context::Rejection rejection = store_->Publish(
      session.store_handle, info, {std::move(snapshot), *std::move(prepared), *std::move(charge)});
  if (rejection == context::Rejection::kNone) {
    options_.recorder->OnSnapshot(session, received);
    return OnPublished(session, info);
  }
  OnRejected(session, info, context::ToString(rejection));
}

std::size_t ContextKeeper::PreparedBytes(const context::ContextSnapshot& snapshot) const {
  const context::ContextLayout& layout = snapshot.kv.layout();
  if (!layout.quantised()) return snapshot.kv.bytes().size();
  return context::WithElementType(layout, expert_->info().context_element_type).total_bytes();
}

// A quantised snapshot is replaced by one in the expert's type; the codes are then let go.
absl::StatusOr<std::unique_ptr<const PreparedContext>> ContextKeeper::Prepare(
    context::SnapshotPtr* snapshot) {
  const context::SnapshotHeader& header = (*snapshot)->header;
  if (header.layout.quantised()) {
    if (header.layout.element_type != options_.element_type) {
      return absl::FailedPreconditionError(
          absl::StrCat("header.layout.element_type is ",
                       context::ToString(header.layout.element_type), ", which was not asked for"));
    }
    auto native = std::make_shared<context::ContextSnapshot>();
    native->header = header;
    native->header.layout =
        context::WithElementType(header.layout, expert_->info().context_element_type);
    AUTOMOT_ASSIGN_OR_RETURN(native->kv, pool_.Acquire(native->header.layout));
    AUTOMOT_RETURN_IF_ERROR(context::Dequantise((*snapshot)->kv, native->kv));
    native->decision = (*snapshot)->decision;
    native->timings = (*snapshot)->timings;
    *snapshot = std::move(native);
  }
  return expert_->Prepare(*snapshot);
}

// Under a spent budget versions behind the newest go first, the session's own and then the others';
// what still does not fit is refused, and the newest serves on (promise 9 of the snapshot path).
absl::StatusOr<context::MemoryBudget::Charge> ContextKeeper::Charge(
    const Session& session, std::size_t bytes, context::MemoryBudget::Refusal* refusal) {
  auto charge = memory_->Take(session.key, bytes, refusal);
  if (charge.ok()) return charge;
  MakeRoom(session);
  charge = memory_->Take(session.key, bytes, refusal);
  if (charge.ok() || *refusal != context::MemoryBudget::Refusal::kProcess) return charge;
  MakeRoomEverywhere();
  return memory_->Take(session.key, bytes, refusal);
}

// With simulated latency the versions behind the newest are the visible ones: all are needed.
void ContextKeeper::MakeRoom(const Session& session) {
  if (session.options.simulated_latency_us != 0) return;
  store_->Trim(session.store_handle, 1).IgnoreError();
  store_->Collect();
}

void ContextKeeper::MakeRoomEverywhere() {
  std::vector<std::shared_ptr<Link>> links;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [key, link] : links_) links.push_back(link);
  }
  for (const std::shared_ptr<Link>& link : links) MakeRoom(*link->session);
}

void ContextKeeper::OnPublished(Session& session, const context::VersionInfo& info) {
  session.announced_version.store(info.id.version, std::memory_order_release);
  session.snapshots_published.fetch_add(1, std::memory_order_relaxed);
  store_->Expire(session.store_handle, info.capture_time_us - session.options.retention_us)
      .IgnoreError();
  {
    const std::lock_guard lock(session.mutex);
    context::SlowObservationPtr& awaited = session.state.awaited;
    if (awaited != nullptr && awaited->frames.back()->capture_time_us <= info.capture_time_us) {
      awaited.reset();
    }
  }
  on_event_();
}

// What was fenced off or overtaken is no loss; a snapshot that this planner cannot use is.
void ContextKeeper::OnRejected(Session& session, const context::VersionInfo& info,
                               std::string_view why) {
  session.snapshots_rejected.fetch_add(1, std::memory_order_relaxed);
  metrics_->CountRejectedSnapshot(why);
  const bool in_force = info.id.epoch == session.epoch_in_force.load(std::memory_order_acquire) &&
                        info.id.episode == session.episode.load(std::memory_order_acquire);
  if (in_force) NoticeLoss(session, info.capture_time_us);
}

void ContextKeeper::OnRefreshFailed(Session& session, SessionTimeUs capture_time_us,
                                    const absl::Status& why) {
  metrics_->CountRefreshFailure();
  AUTOMOT_LOG(
      kWarning, "refresh_failed",
      {{"session", session.name}, {"capture_time_us", capture_time_us}, {"why", why.ToString()}});
  // The lane had no buffer for it: the next one shall find one.
  if (absl::IsResourceExhausted(why)) MakeRoom(session);
  // ABORTED: the episode or epoch of the refresh has ended. A new producer is asked again.
  if (!absl::IsAborted(why)) NoticeLoss(session, capture_time_us);
}

// Plans that wait for this refresh go on with the context there is (promise 8 of the snapshot
// path).
void ContextKeeper::NoticeLoss(Session& session, SessionTimeUs capture_time_us) {
  {
    const std::lock_guard lock(session.mutex);
    if (!session.state.ingest.Asked(capture_time_us)) return;
    session.lost_refreshes.Add(capture_time_us);
    context::SlowObservationPtr& awaited = session.state.awaited;
    if (awaited != nullptr && awaited->frames.back()->capture_time_us == capture_time_us) {
      awaited.reset();
    }
  }
  on_event_();
}

// The producer of an earlier epoch may have died with the refresh that plans wait for.
void ContextKeeper::OfferAgain(SessionState& state) {
  if (state.awaited == nullptr || state.awaited_epoch == state.epoch) return;
  const absl::Status offered = channel_->Submit(state.awaited);
  if (offered.ok()) state.awaited_epoch = state.epoch;
  if (!offered.ok()) metrics_->CountForwardFailure(offered.code());
}

void ContextKeeper::OnLinkState(Session& session, context::LinkState state,
                                const absl::Status& why) {
  const std::lock_guard lock(session.mutex);
  SessionState& s = session.state;
  const bool was_served = s.link_state != context::LinkState::kDown;
  s.link_state = state;
  s.link_message = why.ok() ? "" : std::string(why.message());
  if (state == context::LinkState::kUp) {
    s.attach_backoff = absl::ZeroDuration();
    s.attach_wanted = false;  // the link came back by itself: another epoch would cost a refresh
    OfferAgain(s);
  } else if (options_.sessions_move && was_served && absl::IsAborted(why)) {
    s.moved_away = true;  // maintenance ends it; attaching again would fence its new owner
  } else if (state == context::LinkState::kDown && !s.closed) {
    s.attach_backoff = s.attach_backoff == absl::ZeroDuration()
                           ? kFirstBackoff
                           : std::min(2 * s.attach_backoff, kLastBackoff);
    s.next_attach = clock_->Now() + s.attach_backoff;
    s.attach_wanted = true;
  }
  metrics_->CountLinkState(state);
  AUTOMOT_LOG(
      kInfo, "reasoning_link",
      {{"session", session.name}, {"state", context::ToString(state)}, {"why", s.link_message}});
}

}  // namespace automot::planning
