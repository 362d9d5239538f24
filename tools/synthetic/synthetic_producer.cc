#include "tools/synthetic/synthetic_producer.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "tools/synthetic/plan_proof.h"
#include "tools/synthetic/synthetic_context.h"

namespace automot::synthetic {

using context::SlowObservationPtr;

// The members that change do so under the producer's mutex.
struct SyntheticProducer::Attachment {
  Attachment(const context::AttachRequest& request, context::SnapshotReceiver* receiver,
             std::shared_ptr<context::ReceiverGate> gate)
      : request(request), receiver(receiver), pass(std::move(gate)), episode(request.episode) {}
  const context::AttachRequest request;
  context::SnapshotReceiver* const receiver;
  context::ReceiverPass pass;
  uint32_t episode;
  uint64_t versions = 0;
  bool busy = false;                       // a refresh is on its way
  std::deque<SlowObservationPtr> waiting;  // refreshes to come
};

SyntheticProducer::SyntheticProducer(const SyntheticProducerOptions& options)
    : options_(options), pool_(options.pool) {
  stats_.state = context::LinkState::kUp;
  thread_ = std::thread([this] { LinkThread(); });
}

SyntheticProducer::~SyntheticProducer() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

absl::Status SyntheticProducer::Attach(const context::AttachRequest& request,
                                       context::SnapshotReceiver* receiver) {
  if (request.element_type && *request.element_type != options_.layout.element_type) {
    return absl::InvalidArgumentError(
        absl::StrCat("element_type is ", context::ToString(*request.element_type),
                     "; a synthetic context is ", context::ToString(options_.layout.element_type)));
  }
  const std::lock_guard lock(mutex_);
  std::shared_ptr<Attachment>& slot = attached_[request.session];
  if (slot != nullptr) slot->pass.Revoke();
  slot = std::make_shared<Attachment>(
      request, receiver,
      slot != nullptr ? slot->pass.gate() : std::make_shared<context::ReceiverGate>());
  Add(absl::ZeroDuration(), slot, nullptr);
  return absl::OkStatus();
}

absl::Status SyntheticProducer::Submit(SlowObservationPtr observation) {
  const std::lock_guard lock(mutex_);
  const auto at = attached_.find(observation->session);
  if (at == attached_.end()) {
    return absl::NotFoundError(absl::StrCat("session ", observation->session, " is not attached"));
  }
  ++stats_.observations_submitted;
  Attachment& attachment = *at->second;
  if (observation->history_only || observation->frames.empty()) return absl::OkStatus();
  if (attachment.busy) {
    if (!attachment.request.lossless && !attachment.waiting.empty()) {
      attachment.waiting.clear();
      ++stats_.observations_superseded;
    }
    attachment.waiting.push_back(std::move(observation));
    return absl::OkStatus();
  }
  attachment.busy = true;
  Add(options_.duration, at->second, std::move(observation));
  return absl::OkStatus();
}

absl::Status SyntheticProducer::Reset(uint64_t session, uint32_t episode) {
  const std::lock_guard lock(mutex_);
  const auto at = attached_.find(session);
  if (at == attached_.end()) {
    return absl::NotFoundError(absl::StrCat("session ", session, " is not attached"));
  }
  at->second->episode = episode;
  at->second->waiting.clear();
  return absl::OkStatus();
}

void SyntheticProducer::Detach(uint64_t session) {
  std::shared_ptr<Attachment> removed;
  {
    const std::lock_guard lock(mutex_);
    const auto at = attached_.find(session);
    if (at == attached_.end()) return;
    removed = std::move(at->second);
    attached_.erase(at);
  }
  removed->pass.RevokeAndWait();
}

context::LinkStats SyntheticProducer::stats() const {
  const std::lock_guard lock(mutex_);
  return stats_;
}

void SyntheticProducer::Add(absl::Duration wait, std::shared_ptr<Attachment> attachment,
                            SlowObservationPtr observation) {
  events_.push({clock_.Now() + wait, next_order_++, std::move(attachment), std::move(observation)});
  changed_.notify_one();
}

void SyntheticProducer::LinkThread() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const absl::Duration now = clock_.Now();
    if (events_.empty()) {
      changed_.wait(lock);
    } else if (const absl::Duration wait = events_.top().due - now; wait > absl::ZeroDuration()) {
      changed_.wait_for(lock, absl::ToChronoNanoseconds(wait));
    } else {
      const Event event = events_.top();
      events_.pop();
      lock.unlock();
      Run(event);
      lock.lock();
    }
  }
}

void SyntheticProducer::Run(const Event& event) {
  Attachment& attachment = *event.attachment;
  if (event.observation == nullptr) {
    attachment.pass.Run(
        [&] { attachment.receiver->OnLinkState(context::LinkState::kUp, absl::OkStatus()); });
    return;
  }
  Publish(attachment, *event.observation);
  StartNext(event.attachment);
}

// Work of an earlier episode is dropped here, where it would publish.
void SyntheticProducer::Publish(Attachment& attachment,
                                const context::SlowObservation& observation) {
  std::shared_ptr<context::ContextSnapshot> snapshot;
  {
    const std::lock_guard lock(mutex_);
    if (observation.episode != attachment.episode) return;
    snapshot = Make(attachment, observation);
    if (snapshot != nullptr) ++stats_.snapshots_received;
  }
  attachment.pass.Run([&] {
    if (snapshot != nullptr) return attachment.receiver->OnSnapshot(std::move(snapshot));
    attachment.receiver->OnRefreshFailed(observation.session,
                                         observation.frames.back()->capture_time_us,
                                         absl::ResourceExhaustedError("no buffer is free"));
  });
}

void SyntheticProducer::StartNext(const std::shared_ptr<Attachment>& attachment) {
  const std::lock_guard lock(mutex_);
  attachment->busy = !attachment->waiting.empty();
  if (!attachment->busy) return;
  SlowObservationPtr next = std::move(attachment->waiting.front());
  attachment->waiting.pop_front();
  Add(options_.duration, attachment, std::move(next));
}

// Null where no buffer is free.
std::shared_ptr<context::ContextSnapshot> SyntheticProducer::Make(
    Attachment& attachment, const context::SlowObservation& observation) {
  auto buffer = pool_.Acquire(options_.layout);
  if (!buffer.ok()) return nullptr;
  auto snapshot = std::make_shared<context::ContextSnapshot>();
  context::SnapshotHeader& header = snapshot->header;
  header.id = {attachment.request.session, observation.episode, attachment.request.epoch,
               ++attachment.versions};
  header.capture_time_us = observation.frames.back()->capture_time_us;
  header.frame_capture_times_us = {header.capture_time_us};
  header.prompt = {.target_points = {observation.target.current, observation.target.next},
                   .speed_mps = observation.ego.speed_mps,
                   .pose = observation.ego.pose,
                   .route_revision = observation.target.route_revision};
  header.position_start = options_.layout.tokens;
  header.layout = options_.layout;
  header.model_revision = kModelRevision;
  header.prompt_template = "synthetic";
  header.instruction_mask = "causal";
  header.reasons = observation.reasons;
  snapshot->kv = *std::move(buffer);
  WriteFacts(FactsOf(header.id, attachment.request.session_name, observation), snapshot->kv);
  snapshot->timings.total_ms = absl::ToDoubleMilliseconds(options_.duration);
  return snapshot;
}

}  // namespace automot::synthetic
