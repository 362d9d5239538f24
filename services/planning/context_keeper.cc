#include "services/planning/context_keeper.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/logging/log.h"

namespace automot::planning {
namespace {

constexpr absl::Duration kFirstBackoff = absl::Milliseconds(100);
constexpr absl::Duration kLastBackoff = absl::Seconds(2);

// Newer than `last` and than anything minted before a restart of this process (semantics 2).
uint64_t MintEpoch(uint64_t last) {
  const auto wall = std::chrono::system_clock::now().time_since_epoch();
  return std::max<uint64_t>(last + 1,
                            std::chrono::duration_cast<std::chrono::microseconds>(wall).count());
}

}  // namespace

class ContextKeeper::Receiver final : public context::SnapshotReceiver {
 public:
  Receiver(ContextKeeper* keeper, std::shared_ptr<Session> session)
      : keeper_(keeper), session_(std::move(session)) {}

  void OnSnapshot(context::SnapshotPtr snapshot) override {
    keeper_->OnSnapshot(*session_, std::move(snapshot));
  }
  void OnRefreshFailed(uint64_t, SessionTimeUs capture_time_us, const absl::Status& why) override {
    keeper_->metrics_->CountRefreshFailure();
    AUTOMOT_LOG(kWarning, "refresh_failed",
                {{"session", session_->name},
                 {"capture_time_us", capture_time_us},
                 {"why", why.ToString()}});
  }
  void OnLinkState(context::LinkState state, const absl::Status& why) override {
    keeper_->OnLinkState(*session_, state, why);
  }

 private:
  ContextKeeper* const keeper_;
  const std::shared_ptr<Session> session_;
};

ContextKeeper::ContextKeeper(ContextStore* store, ActionExpert* expert,
                             context::SnapshotChannel* channel, const Clock* clock,
                             PlanningMetrics* metrics, std::function<void()> on_visible)
    : store_(store),
      expert_(expert),
      channel_(channel),
      clock_(clock),
      metrics_(metrics),
      on_visible_(std::move(on_visible)) {}

ContextKeeper::~ContextKeeper() = default;

void ContextKeeper::Attach(const std::shared_ptr<Session>& session) {
  Receiver* receiver = nullptr;
  {
    std::lock_guard lock(mutex_);
    std::unique_ptr<Receiver>& slot = receivers_[session->key];
    if (slot == nullptr) slot = std::make_unique<Receiver>(this, session);
    receiver = slot.get();
  }
  context::AttachRequest request;
  {
    std::lock_guard lock(session->mutex);
    session->state.epoch = MintEpoch(session->state.epoch);
    session->state.attach_wanted = false;
    request.epoch = session->state.epoch;
  }
  request.session = session->key;
  request.session_name = session->name;
  request.episode = session->episode.load(std::memory_order_acquire);
  request.reasoning_rate_hz = session->options.reasoning_rate_hz;
  request.lossless = session->options.time_mode != TimeMode::kRealtime;
  request.model_revision = expert_->info().model_revision;
  absl::Status status = store_->Fence(session->store_handle, request.epoch);
  session->announced_version.store(0, std::memory_order_release);
  if (status.ok()) status = channel_->Attach(request, receiver);
  if (!status.ok()) OnLinkState(*session, context::LinkState::kDown, status);
}

void ContextKeeper::Maintain(const std::shared_ptr<Session>& session) {
  {
    std::lock_guard lock(session->mutex);
    SessionState& state = session->state;
    if (state.closed || !state.attach_wanted || clock_->Now() < state.next_attach) return;
  }
  Attach(session);
}

void ContextKeeper::Detach(const Session& session) {
  channel_->Detach(session.key);
  std::lock_guard lock(mutex_);
  receivers_.erase(session.key);
}

void ContextKeeper::OnSnapshot(Session& session, context::SnapshotPtr snapshot) {
  const context::SnapshotHeader& header = snapshot->header;
  const SnapshotId id = header.id;
  const context::VersionInfo info{id, header.capture_time_us,
                                  header.capture_time_us + session.options.simulated_latency_us};
  auto prepared = expert_->Prepare(snapshot);
  if (!prepared.ok()) {
    session.snapshots_rejected.fetch_add(1, std::memory_order_relaxed);
    metrics_->CountRejectedSnapshot("does_not_fit");
    AUTOMOT_LOG(kWarning, "snapshot_refused",
                {{"session", session.name},
                 {"version", id.version},
                 {"why", prepared.status().ToString()}});
    return;
  }
  metrics_->ObserveSnapshot(*snapshot);
  const context::Rejection rejection =
      store_->Publish(session.store_handle, info, {std::move(snapshot), *std::move(prepared)});
  if (rejection != context::Rejection::kNone) {
    session.snapshots_rejected.fetch_add(1, std::memory_order_relaxed);
    metrics_->CountRejectedSnapshot(context::ToString(rejection));
    return;
  }
  session.announced_version.store(id.version, std::memory_order_release);
  session.snapshots_published.fetch_add(1, std::memory_order_relaxed);
  store_->Expire(session.store_handle, info.capture_time_us - session.options.retention_us)
      .IgnoreError();
  on_visible_();
}

void ContextKeeper::OnLinkState(Session& session, context::LinkState state,
                                const absl::Status& why) {
  metrics_->CountLinkState(state);
  std::lock_guard lock(session.mutex);
  SessionState& s = session.state;
  s.link_state = state;
  s.link_message = why.ok() ? "" : std::string(why.message());
  if (state == context::LinkState::kUp) {
    s.attach_backoff = absl::ZeroDuration();
    s.attach_wanted = false;  // the link came back by itself: another epoch would cost a refresh
  } else if (state == context::LinkState::kDown && !s.closed) {
    s.attach_backoff = s.attach_backoff == absl::ZeroDuration()
                           ? kFirstBackoff
                           : std::min(2 * s.attach_backoff, kLastBackoff);
    s.next_attach = clock_->Now() + s.attach_backoff;
    s.attach_wanted = true;
  }
  AUTOMOT_LOG(
      kInfo, "reasoning_link",
      {{"session", session.name}, {"state", context::ToString(state)}, {"why", s.link_message}});
}

}  // namespace automot::planning
