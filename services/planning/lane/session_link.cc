#include "services/planning/lane/session_link.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/conversion/slow_observation.h"
#include "common/rpc/call_admission.h"
#include "common/rpc/status_conversion.h"

namespace automot::planning {

// One SubmitObservation call. Lives until it completes.
class SessionLink::Submission final : public std::enable_shared_from_this<Submission> {
 public:
  Submission(CompletionThread* thread, ObservationOutbox::Batch batch)
      : thread_(thread), batch_(std::move(batch)) {}

  v1::SubmitObservationRequest* request() { return &request_; }
  const ObservationOutbox::Batch& batch() const { return batch_; }

  void Start(const std::shared_ptr<grpc::Channel>& channel, absl::Duration deadline,
             std::function<void(const absl::Status&, bool asked_to_wait)> on_done) {
    call_.set_deadline(std::chrono::system_clock::now() + absl::ToChronoMicroseconds(deadline));
    stub_ = v1::ReasoningService::NewStub(channel);
    reader_ = stub_->AsyncSubmitObservation(&call_, request_, thread_->queue());
    reader_->Finish(
        &response_, &status_,
        CompletionThread::Tag([self = shared_from_this(), on_done = std::move(on_done)](bool) {
          on_done(rpc::FromGrpcStatus(self->status_),
                  self->call_.GetServerTrailingMetadata().contains(rpc::kRetryAfterKey));
        }));
  }
  void Cancel() { call_.TryCancel(); }

 private:
  CompletionThread* const thread_;
  const ObservationOutbox::Batch batch_;
  v1::SubmitObservationRequest request_;
  v1::SubmitObservationResponse response_;
  grpc::ClientContext call_;
  grpc::Status status_;
  std::unique_ptr<v1::ReasoningService::Stub> stub_;
  std::unique_ptr<grpc::ClientAsyncResponseReader<v1::SubmitObservationResponse>> reader_;
};

SessionLink::SessionLink(Environment environment, const context::AttachRequest& request,
                         context::SnapshotReceiver* receiver,
                         std::shared_ptr<context::ReceiverGate> gate,
                         std::shared_ptr<SessionCarry> carry)
    : environment_(std::move(environment)),
      request_(request),
      receiver_(receiver),
      pass_(std::move(gate)),
      carry_(std::move(carry)),
      jitter_(std::random_device{}()) {}

void SessionLink::Start() {
  if (!closed_) Connect();
}

void SessionLink::Connect() {
  if (environment_.thread->stopped()) return;
  const EndpointSet& endpoints = *environment_.endpoints;
  endpoint_ = endpoints.Choose(request_.session_name, carry_->home, carry_->avoid);
  if (endpoint_ == nullptr) {
    // All have been tried: from the first choice on.
    carry_->avoid.clear();
    endpoint_ = endpoints.Choose(request_.session_name, "", carry_->avoid);
  }
  if (endpoint_ == nullptr) {
    return OnClosed(absl::UnavailableError("no reasoning replica is known yet"));
  }
  if (!SharesMemory()) return Subscribe(nullptr);
  endpoint_->peer->Connect([self = shared_from_this()](const RegionPeer::Connected& regions) {
    if (self->closed_) return;
    regions.ok() ? self->Subscribe(*regions) : self->OnClosed(regions.status());
  });
}

void SessionLink::Subscribe(std::shared_ptr<shared_memory::RegionClient> regions) {
  if (environment_.thread->stopped()) return;
  stream_ = std::make_shared<ContextStream>(environment_.thread, environment_.pool,
                                            std::move(regions), request_, StreamEvents());
  if (SharesMemory()) endpoint_->peer->Watch(stream_);
  stream_->Start(endpoint_->channel, environment_.timeouts.attach);
}

ContextStream::Events SessionLink::StreamEvents() {
  // The stream holds its link until it has closed.
  auto self = shared_from_this();
  return {
      .on_attached = [self](const v1::Attached&) { self->OnAttached(); },
      .on_snapshot =
          [self](context::SnapshotPtr snapshot) {
            self->environment_.counters->received.fetch_add(1, std::memory_order_relaxed);
            {
              absl::MutexLock lock(&self->carry_->mutex);
              self->carry_->outbox.Answered(snapshot->header.capture_time_us);
            }
            self->pass_.Run([&] { self->receiver_->OnSnapshot(std::move(snapshot)); });
          },
      .on_failed =
          [self](SessionTimeUs time, const absl::Status& why, std::string_view refusal) {
            if (!refusal.empty()) self->environment_.counters->CountRefusal(refusal);
            self->ReportFailure(time, why);
          },
      .on_draining = [self] { self->OnDraining(); },
      .on_bytes =
          [self](std::size_t bytes) {
            self->environment_.counters->bytes.fetch_add(bytes, std::memory_order_relaxed);
          },
      .on_copied =
          [self](std::size_t bytes) {
            self->environment_.counters->copied.fetch_add(bytes, std::memory_order_relaxed);
          },
      .on_reused =
          [self](std::size_t bytes) {
            self->environment_.counters->reused.fetch_add(bytes, std::memory_order_relaxed);
          },
      .on_closed = [self](const absl::Status& why) { self->OnClosed(why); },
  };
}

void SessionLink::OnAttached() {
  attached_once_ = true;
  attempts_ = 0;
  if (!carry_->home.empty() && carry_->home != endpoint_->address) {
    environment_.counters->CountRehome(carry_->left_because);
  }
  carry_->home = endpoint_->address;
  carry_->avoid.clear();
  {
    absl::MutexLock lock(&carry_->mutex);
    carry_->outbox.MarkUnsent();
  }
  SetState(context::LinkState::kUp, absl::OkStatus());
  Pump();
}

// A producer that will go keeps serving its sessions until they have left; one that is the only one
// keeps them.
void SessionLink::OnDraining() {
  SetState(context::LinkState::kDraining, absl::OkStatus());
  if (environment_.endpoints->size() > 1) {
    Leave(context::RehomeReason::kDraining, absl::UnavailableError("the producer is draining"));
  }
}

void SessionLink::OnEndpointsChanged() {
  if (closed_ || stream_ == nullptr || environment_.endpoints->Has(endpoint_->address)) return;
  Leave(context::RehomeReason::kRemoved,
        absl::UnavailableError(
            absl::StrCat("the producer at ", endpoint_->address, " is not resolved any more")));
}

void SessionLink::Leave(context::RehomeReason reason, const absl::Status& why) {
  if (std::exchange(leaving_, true)) return;
  if (attached_once_) carry_->left_because = reason;
  stream_->Cancel(why);
}

void SessionLink::NoteEndpointGone(const absl::Status& why) {
  if (attached_once_ && !leaving_) carry_->left_because = context::RehomeReason::kDied;
  leaving_ = false;
  // ABORTED: another owner is served there, which speaks for the producer.
  if (endpoint_ != nullptr && !absl::IsAborted(why)) carry_->avoid.insert(endpoint_->address);
}

void SessionLink::OnClosed(const absl::Status& why) {
  stream_.reset();
  if (!closed_) NoteEndpointGone(why);
  SetState(context::LinkState::kDown, why);
  if (closed_) return;
  // An epoch that was in force, or is too old, is spent: the owner mints the next one and attaches
  // again.
  if (attached_once_ || absl::IsAborted(why)) return;
  environment_.counters->reconnects.fetch_add(1, std::memory_order_relaxed);
  retry_timer_.Set(*environment_.thread, RetryDelay(),
                   [self = shared_from_this()] { self->Start(); });
}

absl::Duration SessionLink::RetryDelay() {
  return Jittered(GrowingDelay(environment_.timeouts.first_retry, environment_.timeouts.last_retry,
                               attempts_++));
}

absl::Duration SessionLink::Jittered(absl::Duration full) {
  return full * std::uniform_real_distribution<double>(0.5, 1.0)(jitter_);
}

void SessionLink::Close() {
  closed_ = true;
  pass_.Revoke();
  SetState(context::LinkState::kDown, absl::OkStatus());
  retry_timer_.Cancel();
  submit_timer_.Cancel();
  if (submission_ != nullptr) submission_->Cancel();
  if (stream_ != nullptr) stream_->Cancel();
}

void SessionLink::SetEpisode(uint32_t episode) {
  if (episode <= request_.episode) return;
  request_.episode = episode;
  if (stream_ != nullptr) stream_->SetEpisode(episode);
}

void SessionLink::SetState(context::LinkState state, const absl::Status& why) {
  const bool now_up = state != context::LinkState::kDown;
  const bool now_draining = state == context::LinkState::kDraining;
  if (now_up != up_.exchange(now_up, std::memory_order_acq_rel)) {
    environment_.counters->up.fetch_add(now_up ? 1 : -1, std::memory_order_relaxed);
  } else if (!now_up && std::exchange(down_said_, true)) {
    return;  // still down: said once
  }
  if (now_draining != std::exchange(draining_, now_draining)) {
    environment_.counters->draining.fetch_add(now_draining ? 1 : -1, std::memory_order_relaxed);
  }
  down_said_ = !now_up;
  pass_.Run([&] { receiver_->OnLinkState(state, why); });
}

void SessionLink::ReportFailure(SessionTimeUs capture_time_us, const absl::Status& why) {
  pass_.Run([&] { receiver_->OnRefreshFailed(request_.session, capture_time_us, why); });
}

void SessionLink::Pump() {
  if (closed_ || !up() || submission_ != nullptr || resting_ || environment_.thread->stopped()) {
    return;
  }
  std::optional<ObservationOutbox::Batch> batch;
  {
    absl::MutexLock lock(&carry_->mutex);
    batch = carry_->outbox.Next();
  }
  if (!batch) return;
  // Before the producer can answer it: snapshots of its episode are wanted from now on.
  SetEpisode(batch->observation->episode);
  submission_ = std::make_shared<Submission>(environment_.thread, *std::move(batch));
  v1::SubmitObservationRequest* request = submission_->request();
  request->set_session(request_.session_name);
  request->set_episode(submission_->batch().observation->episode);
  request->set_epoch(request_.epoch);
  request->set_held_version(stream_ == nullptr ? 0 : stream_->held_version());
  conversion::SlowObservationToProto(*submission_->batch().observation, submission_->batch().frames,
                                     request->mutable_observation());
  request->mutable_observation()->set_sequence(++sequence_);
  request->mutable_observation()->set_history_only(submission_->batch().history_only);
  submission_->Start(endpoint_->channel, environment_.timeouts.submit,
                     [self = shared_from_this(), submission = submission_](
                         const absl::Status& status, bool asked_to_wait) {
                       self->submission_.reset();
                       self->OnSubmitted(submission->batch(), status, asked_to_wait);
                     });
}

void SessionLink::OnSubmitted(const ObservationOutbox::Batch& batch, const absl::Status& status,
                              bool asked_to_wait) {
  if (closed_) return;
  const SubmitOutcome outcome = JudgeSubmission(status, request_.lossless, asked_to_wait);
  {
    absl::MutexLock lock(&carry_->mutex);
    ObservationOutbox::Batch taken = batch;
    taken.history_only = batch.history_only || outcome == SubmitOutcome::kQueueFull;
    if (outcome == SubmitOutcome::kRefused) {
      carry_->outbox.Discard(batch);
    } else if (outcome != SubmitOutcome::kAgain) {
      carry_->outbox.Acknowledge(taken);
    }
  }
  if (outcome == SubmitOutcome::kRefused) {
    environment_.counters->dropped.fetch_add(1, std::memory_order_relaxed);
    ReportFailure(batch.observation->ego.capture_time_us, status);
  }
  if (outcome == SubmitOutcome::kAgain) return Rest();
  failed_submissions_ = 0;
  if (outcome != SubmitOutcome::kQueueFull) return Pump();
  submit_timer_.Set(*environment_.thread, environment_.timeouts.submit_retry,
                    [self = shared_from_this()] { self->Pump(); });
}

// What is sent again is as large as before: newer observations wait with it.
void SessionLink::Rest() {
  resting_ = true;
  const absl::Duration delay = Jittered(GrowingDelay(
      environment_.timeouts.submit_retry, environment_.timeouts.last_retry, failed_submissions_++));
  submit_timer_.Set(*environment_.thread, delay, [self = shared_from_this()] {
    self->resting_ = false;
    self->Pump();
  });
}

}  // namespace automot::planning
