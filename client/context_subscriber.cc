#include "client/context_subscriber.h"

#include <grpcpp/create_channel.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/rpc/address.h"
#include "common/rpc/snapshot_transport.h"
#include "common/rpc/status_conversion.h"
#include "common/status/status_macros.h"

namespace automot::client {

namespace v1 = automot::v1;

namespace {

constexpr uint64_t kSession = 1;  // the only one of the store
constexpr int kMaxMessageBytes = 8 << 20;
constexpr int kPingMs = 2000;
constexpr int kReconnectMs = 100;
constexpr absl::Duration kFirstRetry = absl::Milliseconds(100);
constexpr absl::Duration kLastRetry = absl::Seconds(2);
constexpr absl::Duration kJanitorPeriod = absl::Milliseconds(20);

// Newer than `last`, and than anything minted before this process began (semantics 2).
uint64_t MintEpoch(uint64_t last) {
  const auto wall = std::chrono::system_clock::now().time_since_epoch();
  return std::max<uint64_t>(last + 1,
                            std::chrono::duration_cast<std::chrono::microseconds>(wall).count());
}

// No later attempt would go better.
bool IsFinal(const absl::Status& why) {
  return absl::IsFailedPrecondition(why) || absl::IsInvalidArgument(why) ||
         absl::IsPermissionDenied(why) || absl::IsUnauthenticated(why) || absl::IsAborted(why);
}

absl::Status CheckOptions(const ContextSubscriber::Options& options) {
  AUTOMOT_RETURN_IF_ERROR(rpc::ValidateAddress("options.address", options.address));
  if (options.session.empty()) return absl::InvalidArgumentError("options.session is empty");
  if (options.model_revision.empty()) {
    return absl::InvalidArgumentError(
        "options.model_revision is empty; keys and values mean something to one model only");
  }
  return absl::OkStatus();
}

}  // namespace

ContextSubscriber::ContextSubscriber(Options options)
    : options_(std::move(options)),
      pool_({.byte_budget = options_.snapshot_memory_bytes}),
      reader_(&pool_) {}

absl::StatusOr<std::unique_ptr<ContextSubscriber>> ContextSubscriber::Connect(Options options) {
  AUTOMOT_RETURN_IF_ERROR(CheckOptions(options));
  std::unique_ptr<ContextSubscriber> subscriber(new ContextSubscriber(std::move(options)));
  AUTOMOT_RETURN_IF_ERROR(subscriber->Prepare());
  subscriber->thread_ = std::thread([raw = subscriber.get()] { raw->Run(); });
  AUTOMOT_RETURN_IF_ERROR(subscriber->AwaitAttached());
  return subscriber;
}

absl::Status ContextSubscriber::Prepare() {
  context::StoreOptions store;
  store.sessions = 1;
  store.retained = options_.retained_versions;
  store.max_retained = std::max(store.max_retained, store.retained);
  store.readers = options_.readers;
  store.pins_per_reader = options_.handles_per_reader;
  AUTOMOT_ASSIGN_OR_RETURN(store_, Store::Create(store));
  store_->StartJanitor(kJanitorPeriod);
  AUTOMOT_ASSIGN_OR_RETURN(session_, store_->Open(kSession, /*episode=*/1));
  AUTOMOT_ASSIGN_OR_RETURN(auto credentials, rpc::ChannelCredentialsFor(options_.tls));
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  // A producer that is silent is noticed; one that comes back is found soon.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kPingMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kPingMs);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kReconnectMs);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kPingMs);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  for (const rpc::IntegerArgument& argument : rpc::SnapshotTransportArguments()) {
    arguments.SetInt(argument.name, argument.value);
  }
  stub_ = v1::ReasoningService::NewStub(
      grpc::CreateCustomChannel(options_.address, credentials, arguments));
  return absl::OkStatus();
}

ContextSubscriber::~ContextSubscriber() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    if (call_ != nullptr) call_->TryCancel();
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

absl::Status ContextSubscriber::AwaitAttached() {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, absl::ToChronoMilliseconds(options_.connect_timeout),
                    [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
                      return status_.attached || IsFinal(last_failure_);
                    });
  if (status_.attached) return absl::OkStatus();
  if (IsFinal(last_failure_)) return last_failure_;
  return absl::DeadlineExceededError(
      absl::StrCat("not attached to ", options_.address, ": ", last_failure_.ToString()));
}

absl::StatusOr<context::ReaderSlot> ContextSubscriber::RegisterReader(const std::string& name) {
  return store_->RegisterReader(name);
}

ContextSubscriber::Handle ContextSubscriber::Latest(context::ReaderSlot reader) const {
  return Handle(store_->Latest(session_, reader));
}

ContextSubscriber::Handle ContextSubscriber::LatestVisible(context::ReaderSlot reader,
                                                           SessionTimeUs now_us) const {
  return Handle(store_->LatestVisible(session_, reader, now_us));
}

ContextSubscriber::Handle ContextSubscriber::Specific(context::ReaderSlot reader,
                                                      SnapshotId id) const {
  id.session = kSession;
  return Handle(store_->Specific(session_, reader, id));
}

ContextSubscriber::Handle ContextSubscriber::AtLeast(context::ReaderSlot reader,
                                                     uint64_t version) const {
  Handle latest = Latest(reader);
  if (!latest) return latest;
  const SnapshotId id = latest->header.id;
  const bool enough = id.epoch == epoch_.load(std::memory_order_acquire) && id.version >= version;
  return enough ? std::move(latest) : Handle(Handle::Pinned(context::Miss::kNoVersion));
}

ContextSubscriber::Status ContextSubscriber::status() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

absl::Status ContextSubscriber::Submit(const v1::Observation& observation, Refresh refresh) {
  v1::SubmitObservationRequest request;
  {
    const std::lock_guard lock(mutex_);
    if (!status_.attached) {
      return absl::UnavailableError(absl::StrCat("not attached: ", status_.why_not));
    }
    request.set_session(options_.session);
    request.set_episode(episode_);
    request.set_epoch(status_.epoch);
    request.mutable_observation()->set_sequence(++sequence_);
  }
  *request.mutable_observation()->mutable_observation() = observation;
  request.mutable_observation()->set_history_only(refresh == Refresh::kHistory);
  request.mutable_observation()->set_refresh_now(refresh == Refresh::kNow);
  grpc::ClientContext call;
  call.set_deadline(std::chrono::system_clock::now() +
                    absl::ToChronoMilliseconds(options_.call_timeout));
  v1::SubmitObservationResponse response;
  return rpc::FromGrpcStatus(stub_->SubmitObservation(&call, request, &response));
}

absl::Status ContextSubscriber::Reset() {
  {
    const std::lock_guard lock(mutex_);
    if (status_.fenced) return last_failure_;
    AUTOMOT_RETURN_IF_ERROR(store_->Reset(session_, ++episode_));
    status_.attached = false;
    status_.why_not = "reset";
    last_failure_ = absl::OkStatus();
    if (call_ != nullptr) call_->TryCancel();
  }
  changed_.notify_all();
  return AwaitAttached();
}

// A new epoch for each attachment: whatever an earlier one still sends is refused.
v1::SubscribeContextsRequest ContextSubscriber::Attach(std::shared_ptr<grpc::ClientContext>* call) {
  *call = std::make_shared<grpc::ClientContext>();
  v1::SubscribeContextsRequest request;
  const std::lock_guard lock(mutex_);
  if (stopping_) (*call)->TryCancel();
  call_ = *call;
  status_.epoch = MintEpoch(status_.epoch);
  sequence_ = 0;
  epoch_.store(status_.epoch, std::memory_order_release);
  store_->Fence(session_, status_.epoch).IgnoreError();
  expected_ = {.session = kSession,
               .episode = episode_,
               .epoch = status_.epoch,
               .model_revision = options_.model_revision,
               .session_name = options_.session};
  request.set_session(options_.session);
  request.set_episode(episode_);
  request.set_epoch(status_.epoch);
  request.set_selection(v1::CONTEXT_SELECTION_FULL);
  request.set_reasoning_rate_hz(options_.reasoning_rate_hz);
  request.set_layout(options_.layout);
  request.set_model_revision(options_.model_revision);
  request.set_lossless(options_.lossless);
  request.set_element_type(options_.element_type);
  return request;
}

absl::Status ContextSubscriber::ServeOneAttachment() {
  std::shared_ptr<grpc::ClientContext> call;
  const v1::SubscribeContextsRequest request = Attach(&call);
  const std::unique_ptr<grpc::ClientReader<v1::SubscribeContextsResponse>> stream =
      stub_->SubscribeContexts(call.get(), request);
  v1::SubscribeContextsResponse message;
  while (stream->Read(&message)) Take(message);
  absl::Status why = rpc::FromGrpcStatus(stream->Finish());
  reader_.Abort();
  skipping_ = false;
  const std::lock_guard lock(mutex_);
  call_.reset();
  status_.attached = false;
  status_.draining = false;
  status_.why_not = why.ok() ? "the producer ended the stream" : why.ToString();
  status_.fenced = absl::IsAborted(why);
  last_failure_ = why;
  return why;
}

void ContextSubscriber::Run() {
  absl::Duration delay = kFirstRetry;
  for (;;) {
    const uint64_t received = status().received;
    const bool fenced = absl::IsAborted(ServeOneAttachment());
    changed_.notify_all();
    if (fenced) return;
    delay = status().received > received ? kFirstRetry : std::min(2 * delay, kLastRetry);
    if (!WaitBeforeRetry(delay)) return;
  }
}

// False where the subscription ends. A reset does not wait.
bool ContextSubscriber::WaitBeforeRetry(absl::Duration delay) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, absl::ToChronoMilliseconds(delay),
                    [this, episode = expected_.episode]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
                      return stopping_ || episode_ != episode;
                    });
  return !stopping_;
}

void ContextSubscriber::Take(const v1::SubscribeContextsResponse& message) {
  using Event = v1::SubscribeContextsResponse;
  switch (message.event_case()) {
    case Event::kAttached: {
      {
        const std::lock_guard lock(mutex_);
        status_.attached = episode_ == expected_.episode;
        ++status_.attachments;
      }
      changed_.notify_all();
      return;
    }
    case Event::kDraining:
    case Event::kRefreshFailed: {
      const std::lock_guard lock(mutex_);
      if (message.has_draining()) status_.draining = true;
      if (message.has_refresh_failed()) ++status_.failed;
      return;
    }
    default:
      break;
  }
  if (message.has_header()) skipping_ = false;
  if (skipping_) return;
  if (TakePart(message).ok()) return;
  skipping_ = true;  // the rest of it; the snapshot before keeps serving
  reader_.Abort();
  const std::lock_guard lock(mutex_);
  ++status_.refused;
}

absl::Status ContextSubscriber::TakePart(const v1::SubscribeContextsResponse& message) {
  if (message.has_header()) return reader_.Begin(message.header(), expected_);
  if (message.has_chunk()) return reader_.Add(message.chunk());
  if (!message.has_trailer()) return absl::InvalidArgumentError("unknown event");
  AUTOMOT_ASSIGN_OR_RETURN(context::SnapshotPtr snapshot, reader_.Finish(message.trailer()));
  Publish(std::move(snapshot));
  return absl::OkStatus();
}

void ContextSubscriber::Publish(context::SnapshotPtr snapshot) {
  const SnapshotId id = snapshot->header.id;
  const SessionTimeUs capture_us = snapshot->header.capture_time_us;
  const context::Rejection rejection =
      store_->Publish(session_, {id, capture_us, capture_us}, std::move(snapshot));
  {
    const std::lock_guard lock(mutex_);
    ++(rejection == context::Rejection::kNone ? status_.received : status_.refused);
  }
  if (rejection == context::Rejection::kNone && options_.on_snapshot) options_.on_snapshot(id);
}

}  // namespace automot::client
