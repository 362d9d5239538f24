#include "services/reasoning/reasoning_engine.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"

namespace automot::reasoning {
namespace {

constexpr double kMaxReasoningRateHz = 100.0;  // session.proto
constexpr SessionTimeUs kMaxStalenessBudgetUs = 3'600'000'000;
constexpr std::size_t kMaxQuestionBytes = 4096;

absl::Status CheckRequest(const context::AttachRequest& request) {
  if (!std::isfinite(request.reasoning_rate_hz) || request.reasoning_rate_hz <= 0.0 ||
      request.reasoning_rate_hz > kMaxReasoningRateHz) {
    return absl::InvalidArgumentError(
        absl::StrCat("reasoning_rate_hz is ", request.reasoning_rate_hz,
                     "; it must be above 0 and at most ", kMaxReasoningRateHz));
  }
  if (request.staleness_budget_us < 0 || request.staleness_budget_us > kMaxStalenessBudgetUs) {
    return absl::InvalidArgumentError(
        absl::StrCat("staleness_budget_us is ", request.staleness_budget_us,
                     "; it must be at least 0 and at most ", kMaxStalenessBudgetUs));
  }
  if (request.epoch == 0) return absl::InvalidArgumentError("epoch is 0; it must be above 0");
  return absl::OkStatus();
}

absl::Status CheckQuestion(const SceneQuestion& question) {
  if (question.question.empty() || question.question.size() > kMaxQuestionBytes) {
    return absl::InvalidArgumentError(absl::StrCat("question has ", question.question.size(),
                                                   " bytes; it must have 1 to ",
                                                   kMaxQuestionBytes));
  }
  return ValidateAskOptions(question.options);
}

absl::Status NotAttached(uint64_t session) {
  return absl::NotFoundError(absl::StrCat("session ", session, " is not attached"));
}

// Newest frame that a refresh for `observation` may use: its own newest, else the newest that its
// ego state had seen.
SessionTimeUs FrameLimit(const context::SlowObservation& observation) {
  SessionTimeUs limit = observation.ego.capture_time_us;
  for (const CameraFramePtr& frame : observation.frames) {
    limit = std::max(limit, frame->capture_time_us);
  }
  return limit;
}

// What a context can be made as: the expert's own type, or quantised from it.
absl::Status CheckElementType(const context::AttachRequest& request,
                              const UnderstandingExpertInfo& expert) {
  if (!request.element_type || *request.element_type == expert.element_type) {
    return absl::OkStatus();
  }
  const context::ContextLayout wanted{.element_type = *request.element_type};
  if (wanted.quantised()) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "element_type is ", context::ToString(*request.element_type), "; this producer makes ",
      context::ToString(expert.element_type), ", float8_e4m3 and int8"));
}

}  // namespace

ReasoningEngine::ReasoningEngine(const ReasoningOptions& options, ExpertFactory factory,
                                 const Clock* clock, ReasoningEvents* events)
    : options_(options),
      clock_(clock),
      events_(events),
      pool_(options.pool),
      sessions_(options.limits),
      costs_(options.worker.max_batch) {
  worker_ = std::make_unique<ReasoningWorker>(options.worker, std::move(factory), &pool_, clock,
                                              static_cast<WorkSource*>(this));
}

ReasoningEngine::~ReasoningEngine() { Stop(); }

absl::Status ReasoningEngine::WaitUntilReady(absl::Duration timeout) const {
  std::unique_lock lock(mutex_);
  if (!warmed_.wait_for(lock, absl::ToChronoMicroseconds(timeout),
                        [this] { return warm_.has_value(); })) {
    return absl::DeadlineExceededError(absl::StrCat("the understanding expert is not ready after ",
                                                    absl::ToDoubleSeconds(timeout), " s"));
  }
  return *warm_;
}

void ReasoningEngine::NotifyWhenReady(std::function<void(const absl::Status&)> on_ready) {
  std::optional<absl::Status> warm;
  {
    std::lock_guard lock(mutex_);
    warm = warm_;
    if (!warm) on_ready_.push_back(std::move(on_ready));
  }
  if (warm) on_ready(*warm);
}

// ----------------------------------------------------------------------------------------------------------------
// Consumers

absl::Status ReasoningEngine::CheckAdmission(const context::AttachRequest& request) const {
  if (status_.draining || stopping_) {
    return absl::UnavailableError("the reasoning service is draining");
  }
  if (!warm_) return absl::UnavailableError("the understanding expert is still loading");
  if (!warm_->ok()) {
    return absl::UnavailableError(
        absl::StrCat("the understanding expert failed to load: ", warm_->ToString()));
  }
  if (!request.model_revision.empty() && request.model_revision != status_.expert.model_revision) {
    return absl::FailedPreconditionError(absl::StrCat("model_revision is '", request.model_revision,
                                                      "'; this producer runs '",
                                                      status_.expert.model_revision, "'"));
  }
  return CheckElementType(request, status_.expert);
}

// A session that is attached already is not turned away for what it asks now.
absl::Status ReasoningEngine::CheckLoad(const context::AttachRequest& request) const {
  const ReasoningSession* session = sessions_.Find(request);
  if (options_.max_refresh_load <= 0.0 || (session != nullptr && session->owner != nullptr)) {
    return absl::OkStatus();
  }
  const double refresh_s = absl::ToDoubleSeconds(costs_.BestCost());
  const double load = refresh_s * (sessions_.declared_rate_hz() + request.reasoning_rate_hz);
  if (load <= options_.max_refresh_load) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat("reasoning_rate_hz is ", request.reasoning_rate_hz, "; with it refreshes of ",
                   absl::ToInt64Milliseconds(costs_.BestCost()), " ms would take ", load,
                   " of the expert's time, and the limit is ", options_.max_refresh_load));
}

absl::Status ReasoningEngine::Attach(const context::AttachRequest& request,
                                     context::SnapshotReceiver* receiver) {
  return AttachOwner(request, receiver, nullptr);
}

absl::Status ReasoningEngine::AttachSink(const context::AttachRequest& request,
                                         SnapshotSink* sink) {
  return AttachOwner(request, sink, request.want_layers ? sink : nullptr);
}

absl::Status ReasoningEngine::AttachOwner(const context::AttachRequest& request,
                                          context::SnapshotReceiver* receiver, SnapshotSink* sink) {
  AUTOMOT_RETURN_IF_ERROR(CheckRequest(request));
  AttachmentPtr replaced, owner;
  std::string name;
  {
    std::lock_guard lock(mutex_);
    AUTOMOT_RETURN_IF_ERROR(CheckAdmission(request));
    AUTOMOT_RETURN_IF_ERROR(CheckLoad(request));
    AUTOMOT_ASSIGN_OR_RETURN(ReasoningSession * session,
                             sessions_.Attach(request, receiver, sink, &replaced));
    owner = session->owner;
    name = session->name;
    if (request.want_layers &&
        request.element_type.value_or(status_.expert.element_type) != status_.expert.element_type) {
      owner->QuantiseTo(*request.element_type, &pool_, &quantiser_, [this] { Wake(); });
    }
  }
  // The same consumer under a new epoch knows; another one is told.
  const bool fenced = replaced != nullptr && replaced->request().session != request.session;
  if (fenced) {
    PostLinkState(replaced, context::LinkState::kDown,
                  absl::AbortedError(
                      absl::StrCat("session '", name, "' was taken by epoch ", request.epoch)));
    link_.Post([replaced] { replaced->pass().Revoke(); });
  }
  if (replaced != nullptr) events_->OnDetached(replaced->request(), fenced);
  events_->OnAttached(request);
  PostLinkState(std::move(owner), context::LinkState::kUp, absl::OkStatus());
  return absl::OkStatus();
}

absl::Status ReasoningEngine::Listen(const context::AttachRequest& request, SnapshotSink* sink) {
  AttachmentPtr listener;
  {
    std::lock_guard lock(mutex_);
    AUTOMOT_RETURN_IF_ERROR(CheckAdmission(request));
    AUTOMOT_ASSIGN_OR_RETURN(listener, sessions_.Listen(request, sink, nullptr));
  }
  PostLinkState(std::move(listener), context::LinkState::kUp, absl::OkStatus());
  return absl::OkStatus();
}

void ReasoningEngine::Detach(uint64_t session) {
  AttachmentPtr removed;
  bool in_force = false;  // neither a listener nor fenced already
  {
    std::lock_guard lock(mutex_);
    const ReasoningSession* attached = sessions_.FindByConsumer(session);
    in_force = attached != nullptr && attached->owner != nullptr &&
               attached->owner->request().session == session;
    removed = sessions_.Remove(session);
  }
  if (removed == nullptr) return;
  removed->pass().RevokeAndWait();
  if (in_force) events_->OnDetached(removed->request(), false);
}

void ReasoningEngine::PostLinkState(AttachmentPtr to, context::LinkState state, absl::Status why) {
  link_.Post([to = std::move(to), state, why = std::move(why)] { to->SendLinkState(state, why); });
}

// -------------------------------------------------------------------------------------------------------------
// Observations

absl::Status ReasoningEngine::Submit(context::SlowObservationPtr observation) {
  std::lock_guard lock(mutex_);
  ReasoningSession* session = sessions_.FindByConsumer(observation->session);
  if (session == nullptr || session->owner == nullptr ||
      session->owner->request().session != observation->session) {
    return NotAttached(observation->session);
  }
  return Accept(*session, std::move(observation));
}

absl::StatusOr<uint64_t> ReasoningEngine::SubmitByName(
    const std::string& name, uint64_t epoch,
    std::shared_ptr<context::SlowObservation> observation) {
  std::lock_guard lock(mutex_);
  ReasoningSession* session = sessions_.FindByName(name);
  if (session == nullptr || session->owner == nullptr || epoch > session->epoch()) {
    return absl::NotFoundError(
        absl::StrCat("session '", name, "' has no subscription of epoch ", epoch));
  }
  if (epoch < session->epoch()) {
    return absl::AbortedError(absl::StrCat("epoch is ", epoch, "; the one in force for session '",
                                           name, "' is ", session->epoch()));
  }
  observation->session = session->owner->request().session;
  AUTOMOT_RETURN_IF_ERROR(Accept(*session, std::move(observation)));
  return session->superseded;
}

absl::Status ReasoningEngine::Accept(ReasoningSession& session,
                                     context::SlowObservationPtr observation) {
  if (observation->episode < session.episode) return absl::OkStatus();
  if (observation->episode > session.episode) sessions_.StartEpisode(session, observation->episode);
  ++link_stats_.observations_submitted;
  const SessionTimeUs time = observation->ego.capture_time_us;
  const bool later = observation->sequence > session.newest_sequence;
  if (!observation->history_only && session.newest_sequence > 0 && later &&
      time < session.newest_time_us) {
    return absl::InvalidArgumentError(
        absl::StrCat("capture_time_us is ", time, "; the observation before it was at ",
                     session.newest_time_us, ", and time does not go back within an episode"));
  }
  for (const CameraFramePtr& frame : observation->frames) session.history.Add(frame);
  if (!observation->history_only && later) {
    session.newest_sequence = observation->sequence;
    session.newest_time_us = time;
  }
  return Offer(session, std::move(observation));
}

absl::Status ReasoningEngine::Offer(ReasoningSession& session,
                                    context::SlowObservationPtr observation) {
  const std::optional<SessionTimeUs> frame_time =
      session.history.NewestUntil(FrameLimit(*observation));
  switch (session.refreshes->Offer(std::move(observation), frame_time, clock_->Now())) {
    case RefreshQueue::Outcome::kFull:
      ++link_stats_.observations_dropped;
      return absl::ResourceExhaustedError(
          absl::StrCat("refreshes waiting for session '", session.name,
                       "': ", session.refreshes->size(), " of ", options_.limits.lossless_queue));
    case RefreshQueue::Outcome::kReplaced:
      ++session.superseded;
      ++status_.superseded;
      ++link_stats_.observations_superseded;
      events_->OnSubmitted(true);
      break;
    case RefreshQueue::Outcome::kQueued:
      events_->OnSubmitted(false);
      work_.notify_one();
      break;
    case RefreshQueue::Outcome::kNotDue:
      events_->OnSubmitted(false);
      break;
  }
  return absl::OkStatus();
}

absl::Status ReasoningEngine::Reset(uint64_t session_number, uint32_t episode) {
  std::lock_guard lock(mutex_);
  ReasoningSession* session = sessions_.FindByConsumer(session_number);
  if (session == nullptr) return NotAttached(session_number);
  if (episode > session->episode) sessions_.StartEpisode(*session, episode);
  return absl::OkStatus();
}

void ReasoningEngine::NoteHeld(const std::string& name, uint64_t epoch, uint64_t version) {
  AttachmentPtr owner;
  {
    std::lock_guard lock(mutex_);
    const ReasoningSession* session = sessions_.FindByName(name);
    if (session == nullptr || session->owner == nullptr || session->epoch() != epoch) return;
    owner = session->owner;
  }
  owner->SendHeld(version);
}

void ReasoningEngine::Wake() {
  std::lock_guard lock(mutex_);
  work_.notify_one();
}

// ----------------------------------------------------------------------------------------------------------------
// Questions

absl::StatusOr<SessionTimeUs> ReasoningEngine::Ask(std::unique_ptr<SceneQuestion> question) {
  const auto ended = [events = events_, clock = clock_,
                      begin = clock_->Now()](const absl::Status& status) {
    events->OnAnswered(absl::ToDoubleSeconds(clock->Now() - begin), status);
  };
  question->on_done = [ended, on_done = std::move(question->on_done)](absl::StatusOr<bool> result) {
    ended(result.status());
    on_done(std::move(result));
  };
  EndAbandonedQuestions();
  absl::StatusOr<SessionTimeUs> capture_time_us = Enqueue(std::move(question));
  if (!capture_time_us.ok()) ended(capture_time_us.status());
  return capture_time_us;
}

void ReasoningEngine::EndAbandonedQuestions() {
  std::vector<std::unique_ptr<SceneQuestion>> abandoned;
  {
    std::lock_guard lock(mutex_);
    for (std::unique_ptr<SceneQuestion>& question : questions_) {
      if (question->abandoned()) abandoned.push_back(std::move(question));
    }
    std::erase(questions_, nullptr);
  }
  for (const auto& question : abandoned) question->on_done(Abandoned());
}

absl::StatusOr<SessionTimeUs> ReasoningEngine::Enqueue(std::unique_ptr<SceneQuestion> question) {
  AUTOMOT_RETURN_IF_ERROR(CheckQuestion(*question));
  std::lock_guard lock(mutex_);
  AUTOMOT_RETURN_IF_ERROR(CheckAdmission({}));
  if (questions_.size() >= options_.waiting_questions) {
    return absl::ResourceExhaustedError(
        absl::StrCat("waiting questions: ", questions_.size(), " of ", options_.waiting_questions));
  }
  if (question->frames.empty()) {
    ReasoningSession* session = sessions_.FindByName(question->session);
    if (session == nullptr) {
      return absl::NotFoundError(
          absl::StrCat("session '", question->session, "' has no subscription"));
    }
    const HistoryGrid grid = {.frames = status_.expert.history_frames,
                              .spacing_us = status_.expert.history_spacing_us,
                              .tolerance_us = options_.history_tolerance_us};
    auto selection = session->history.Select(grid, std::numeric_limits<SessionTimeUs>::max());
    if (!selection) {
      return absl::FailedPreconditionError(
          absl::StrCat("session '", question->session, "' has no camera frame yet"));
    }
    question->frames = std::move(selection->frames);
    question->cache = session->cache;
  } else {
    question->cache = std::make_shared<VisionCache>(options_.limits.cached_features);
  }
  const SessionTimeUs capture_time_us = question->capture_time_us();
  questions_.push_back(std::move(question));
  work_.notify_one();
  return capture_time_us;
}

// ------------------------------------------------------------------------------------------------------------
// Drain and stop

void ReasoningEngine::BeginDrain() {
  std::vector<AttachmentPtr> consumers;
  {
    std::lock_guard lock(mutex_);
    if (std::exchange(status_.draining, true)) return;
    consumers = sessions_.All();
  }
  for (AttachmentPtr& consumer : consumers) {
    PostLinkState(std::move(consumer), context::LinkState::kDraining, absl::OkStatus());
  }
}

void ReasoningEngine::Stop() {
  std::vector<AttachmentPtr> consumers;
  std::deque<std::unique_ptr<SceneQuestion>> questions;
  {
    std::lock_guard lock(mutex_);
    if (std::exchange(stopping_, true)) return;
    status_.draining = true;
    consumers = sessions_.All();
    questions.swap(questions_);
    work_.notify_all();
  }
  const absl::Status gone = absl::UnavailableError("the reasoning service stops");
  for (const auto& question : questions) question->on_done(gone);
  worker_.reset();
  for (AttachmentPtr& consumer : consumers) {
    PostLinkState(std::move(consumer), context::LinkState::kDown, gone);
  }
}

context::LinkStats ReasoningEngine::stats() const {
  std::lock_guard lock(mutex_);
  return link_stats_;
}

ReasoningStatus ReasoningEngine::status() const {
  std::lock_guard lock(mutex_);
  ReasoningStatus status = status_;
  status.sessions = sessions_.owners();
  status.session_limit = options_.limits.sessions;
  return status;
}

}  // namespace automot::reasoning
