// The engine as the source of its worker's work.
#include <algorithm>
#include <utility>

#include "services/reasoning/reasoning_engine.h"

namespace automot::reasoning {

// Worker

void ReasoningEngine::OnWarm(const absl::StatusOr<UnderstandingExpertInfo>& info) {
  std::vector<std::function<void(const absl::Status&)>> on_ready;
  {
    std::lock_guard lock(mutex_);
    warm_ = info.status();
    status_.ready = info.ok();
    if (info.ok()) status_.expert = *info;
    link_stats_.state = info.ok() ? context::LinkState::kUp : context::LinkState::kDown;
    on_ready.swap(on_ready_);
  }
  warmed_.notify_all();
  events_->OnReady(info);
  for (const auto& notify : on_ready) notify(info.status());
}

bool ReasoningEngine::WaitForWork() {
  std::unique_lock lock(mutex_);
  work_.wait(lock, [this] { return stopping_ || !questions_.empty() || sessions_.HasWork(); });
  return !stopping_;
}

std::vector<RefreshJob> ReasoningEngine::TakeRefreshes() {
  std::vector<RefreshJob> jobs;
  std::vector<absl::Duration> due;
  const absl::Duration now = clock_->Now();
  {
    std::lock_guard lock(mutex_);
    std::vector<ReasoningSession*> waiting;
    if (!stopping_) waiting = sessions_.ByDeadline();
    if (waiting.empty()) return jobs;
    const int batch = costs_.Choose(static_cast<int>(waiting.size()),
                                    waiting.front()->refreshes->deadline() - now);
    waiting.resize(static_cast<std::size_t>(batch));
    for (ReasoningSession* session : waiting) jobs.push_back(Take(*session, &due.emplace_back()));
  }
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    events_->OnRefreshBegun(jobs[i].owner->request(), absl::ToDoubleSeconds(now - jobs[i].accepted),
                            std::max(0.0, absl::ToDoubleSeconds(now - due[i])));
  }
  events_->OnRefreshRun();
  return jobs;
}

RefreshJob ReasoningEngine::Take(ReasoningSession& session, absl::Duration* due) {
  RefreshCandidate next = session.refreshes->Pop();
  const HistoryGrid grid = {.frames = status_.expert.history_frames,
                            .spacing_us = status_.expert.history_spacing_us,
                            .tolerance_us = options_.history_tolerance_us};
  RefreshJob job;
  auto selection = session.history.Select(grid, next.frame_time_us);
  if (selection) job.history = *std::move(selection);
  job.owner = session.owner;
  job.episode = session.episode;
  job.observation = std::move(next.observation);
  job.frame_time_us = next.frame_time_us;
  job.cache = session.cache;
  job.accepted = next.accepted;
  *due = next.due;
  return job;
}

void ReasoningEngine::OnRefreshed(int batch, absl::Duration took) {
  std::lock_guard lock(mutex_);
  costs_.Observe(batch, took);
}

std::unique_ptr<SceneQuestion> ReasoningEngine::TakeQuestion() {
  std::lock_guard lock(mutex_);
  if (questions_.empty()) return nullptr;
  std::unique_ptr<SceneQuestion> question = std::move(questions_.front());
  questions_.pop_front();
  return question;
}

ReasoningSession* ReasoningEngine::Wanted(const RefreshJob& job) {
  ReasoningSession* session = sessions_.FindByConsumer(job.owner->request().session);
  if (session == nullptr || session->owner != job.owner || session->episode != job.episode) {
    return nullptr;
  }
  return session;
}

bool ReasoningEngine::IsWanted(const RefreshJob& job) {
  std::lock_guard lock(mutex_);
  return Wanted(job) != nullptr;
}

std::optional<SnapshotId> ReasoningEngine::BeginSnapshot(const RefreshJob& job) {
  std::lock_guard lock(mutex_);
  ReasoningSession* session = Wanted(job);
  if (session == nullptr) return std::nullopt;
  return SnapshotId{.session = job.owner->request().session,
                    .episode = job.episode,
                    .epoch = job.owner->request().epoch,
                    .version = session->next_version++};
}

void ReasoningEngine::EndRefresh(const RefreshJob& job,
                                 const absl::StatusOr<ContextRefresh::Result>& result) {
  events_->OnMemory(pool_.stats());
  if (!result.ok()) return Fail(job, result.status());
  std::vector<AttachmentPtr> listeners;
  bool wanted = false;
  {
    std::lock_guard lock(mutex_);
    status_.vision_cache_hits += result->cache_hits;
    if (const ReasoningSession* session = Wanted(job)) {
      wanted = true;
      listeners = session->listeners;
      ++status_.refreshes;
      ++link_stats_.snapshots_received;
    }
  }
  if (!wanted)
    return Fail(job, absl::AbortedError("the episode or epoch ended during the refresh"));
  if (!result->decision_status.ok()) {
    events_->OnDecisionFailed(job.owner->request(), result->decision_status);
  }
  events_->OnPublished(job.owner->request(), *result->snapshot, result->cache_hits);
  job.owner->SendSnapshot(result->snapshot);
  for (const AttachmentPtr& listener : listeners) listener->SendSnapshot(result->snapshot);
}

void ReasoningEngine::Fail(const RefreshJob& job, const absl::Status& why) {
  {
    std::lock_guard lock(mutex_);
    ++(absl::IsAborted(why) ? status_.refreshes_dropped : status_.refreshes_failed);
  }
  events_->OnRefreshFailed(job.owner->request(), why);
  job.owner->SendFailure(job.capture_time_us(), why);
}

}  // namespace automot::reasoning
