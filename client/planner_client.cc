#include "client/planner_client.h"

#include <grpcpp/create_channel.h>

#include <algorithm>
#include <functional>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "common/rpc/address.h"
#include "common/rpc/rendezvous_hash.h"
#include "common/rpc/status_conversion.h"
#include "common/status/status_macros.h"

namespace automot::client {

namespace v1 = automot::v1;

namespace {

constexpr int kMaxAnswerBytes = 64 << 20;
constexpr absl::Duration kReadyPoll = absl::Milliseconds(50);
// A service that falls silent (no power, no network, frozen) is noticed after both together: calls
// to it end as UNAVAILABLE. Without them they would end by their deadlines only, for a quarter of
// an hour, which is TCP's patience.
constexpr int kPingAfterMs = 2000;
constexpr int kPingTimeoutMs = 3000;
// Of one attempt to connect to one of several replicas; gRPC's own 20 s outlast every call.
constexpr int kConnectMs = 2000;

// The server's own delay before a retry; zero where it named none.
absl::Duration ServerDelay(const grpc::ClientContext& context) {
  const auto& metadata = context.GetServerTrailingMetadata();
  const auto found = metadata.find("automot-retry-after-ms");
  int64_t ms = 0;
  if (found == metadata.end() ||
      !absl::SimpleAtoi(absl::string_view(found->second.data(), found->second.size()), &ms)) {
    return absl::ZeroDuration();
  }
  return absl::Milliseconds(ms);
}

// Makes `observation` a part of `request` without copying it, pictures and all. Who holds `request`
// only reads it.
class LentObservation {
 public:
  LentObservation(const v1::Observation& observation, v1::PlanRequest* request)
      : request_(*request) {
    request_.unsafe_arena_set_allocated_observation(const_cast<v1::Observation*>(&observation));
  }
  // Else `request` would delete it.
  ~LentObservation() { static_cast<void>(request_.unsafe_arena_release_observation()); }
  LentObservation(const LentObservation&) = delete;
  LentObservation& operator=(const LentObservation&) = delete;

 private:
  v1::PlanRequest& request_;
};

bool NeverHelpsToWait(const absl::Status& status) {
  return absl::IsPermissionDenied(status) || absl::IsUnauthenticated(status) ||
         absl::IsUnimplemented(status);
}

}  // namespace

struct PlannerSession::Shared {
  PlannerClient::Options options;
  std::vector<std::string> addresses;
  std::vector<std::unique_ptr<v1::PlanningService::Stub>> stubs;  // one per address

  // Calls `attempt` until it succeeds, must not be retried, or `timeout` has passed.
  absl::Status Call(absl::Duration timeout,
                    const std::function<grpc::Status(grpc::ClientContext*)>& attempt) const {
    const absl::Time deadline = absl::Now() + timeout;
    RetryState retries(options.retry, deadline);
    for (;;) {
      grpc::ClientContext context;
      context.set_deadline(absl::ToChronoTime(deadline));
      const absl::Status status = rpc::FromGrpcStatus(attempt(&context));
      absl::Duration delay;
      if (status.ok() || !retries.ShouldRetry(status, ServerDelay(context), absl::Now(), &delay)) {
        return status;
      }
      absl::SleepFor(delay);
    }
  }
};

using Stub = v1::PlanningService::Stub;

PlannerSession::PlannerSession(std::shared_ptr<Shared> shared, std::string name,
                               const v1::SessionOptions& options)
    : shared_(std::move(shared)),
      name_(std::move(name)),
      options_(options),
      order_(rpc::RendezvousOrder(name_, shared_->addresses)) {}

PlannerSession::~PlannerSession() { Close().IgnoreError(); }

Stub& PlannerSession::stub() const { return *shared_->stubs[order_[place_]]; }
const std::string& PlannerSession::address() const { return shared_->addresses[order_[place_]]; }

template <typename Request>
Request PlannerSession::Written() const {
  Request request;
  request.set_session(name_);
  request.set_lease(opened_.lease());
  return request;
}

// True where the next attempt has to be another one than the same again. A replica that does not
// know the session has been restarted, or lost it to another: it adopts it.
bool PlannerSession::MustFollow(const grpc::Status& status) {
  if (order_.size() < 2) return false;
  // CANCELLED, which nobody here asked for: the call reached a server in the instant of its end.
  const bool away =
      status.error_code() == grpc::UNAVAILABLE || status.error_code() == grpc::CANCELLED;
  if (away) place_ = (place_ + 1) % order_.size();
  return away || status.error_code() == grpc::NOT_FOUND;
}

// Takes the session over at the replica whose turn it is.
grpc::Status PlannerSession::Follow(const grpc::ClientContext& call) {
  grpc::ClientContext context;
  context.set_deadline(call.deadline());
  v1::OpenSessionRequest request;
  request.set_session(name_);
  request.set_resume_token(opened_.resume_token());
  *request.mutable_options() = options_;
  v1::OpenSessionResponse response;
  grpc::Status status = stub().OpenSession(&context, request, &response);
  if (!status.ok()) {
    return MustFollow(status) ? grpc::Status(grpc::UNAVAILABLE, status.error_message()) : status;
  }
  opened_ = std::move(response);
  sequence_ = 0;
  adrift_ = false;
  return status;
}

absl::Status PlannerSession::Call(absl::Duration timeout, const Attempt& attempt) {
  return shared_->Call(timeout, [&](grpc::ClientContext* context) {
    if (adrift_) {
      if (const grpc::Status followed = Follow(*context); !followed.ok()) return followed;
    }
    const grpc::Status status = attempt(context);
    if (!MustFollow(status)) return status;
    adrift_ = true;
    return grpc::Status(grpc::UNAVAILABLE, status.error_message());
  });
}

template <typename Request, typename Response>
absl::Status PlannerSession::CallWritten(grpc::Status (Stub::*method)(grpc::ClientContext*,
                                                                      const Request&, Response*),
                                         Request request, Response* response) {
  return Call(shared_->options.call_timeout, [&](grpc::ClientContext* context) {
    request.set_lease(opened_.lease());
    return (stub().*method)(context, request, response);
  });
}

absl::Status PlannerSession::Open(const std::string& resume_token) {
  v1::OpenSessionRequest request;
  request.set_session(name_);
  request.set_resume_token(resume_token);
  *request.mutable_options() = options_;
  bool perhaps_opened = false;  // an attempt ended without a word
  const absl::Status status =
      shared_->Call(shared_->options.call_timeout, [&](grpc::ClientContext* context) {
        const grpc::Status attempt = stub().OpenSession(context, request, &opened_);
        const bool away = attempt.error_code() == grpc::UNAVAILABLE;
        perhaps_opened = perhaps_opened || away;
        MustFollow(attempt);
        return attempt;
      });
  closed_ = !status.ok();
  if (absl::IsAlreadyExists(status) && perhaps_opened) {
    return absl::UnavailableError(absl::StrCat(
        "the connection broke while session '", name_,
        "' was being opened; its token is lost, and the name is free when its lease ends"));
  }
  return status;
}

absl::StatusOr<v1::PlanResponse> PlannerSession::Plan(const v1::Observation& observation,
                                                      const PlanOptions& options) {
  auto request = Written<v1::PlanRequest>();
  const LentObservation lent(observation, &request);
  *request.mutable_context() = options.context;
  request.set_on_expired(options.on_expired);
  const absl::Duration timeout =
      options.timeout > absl::ZeroDuration() ? options.timeout : shared_->options.plan_timeout;
  v1::PlanResponse response;
  bool perhaps_accepted = false;  // an attempt under this sequence ended without a word
  ++sequence_;
  const absl::Status status = Call(timeout, [&](grpc::ClientContext* context) {
    if (sequence_ == 0) ++sequence_;  // adopted meanwhile
    request.set_lease(opened_.lease());
    request.set_sequence(sequence_);
    const grpc::Status attempt = stub().Plan(context, request, &response);
    if (attempt.error_code() == grpc::RESOURCE_EXHAUSTED) ++sequence_;
    perhaps_accepted = attempt.error_code() == grpc::UNAVAILABLE ||
                       (perhaps_accepted && attempt.error_code() == grpc::ALREADY_EXISTS);
    return attempt;
  });
  if (absl::IsAlreadyExists(status) && perhaps_accepted) {
    return absl::UnavailableError(
        "the connection broke after the plan had been accepted; its answer is lost");
  }
  if (!status.ok()) return status;
  return response;
}

absl::Status PlannerSession::Reset() {
  v1::ResetSessionResponse response;
  AUTOMOT_RETURN_IF_ERROR(
      CallWritten(&Stub::ResetSession, Written<v1::ResetSessionRequest>(), &response));
  opened_.set_episode(response.episode());
  if (!response.resume_token().empty()) opened_.set_resume_token(response.resume_token());
  return absl::OkStatus();
}

absl::Status PlannerSession::KeepAlive() {
  v1::KeepAliveResponse response;
  return CallWritten(&Stub::KeepAlive, Written<v1::KeepAliveRequest>(), &response);
}

// At the replica that has the session, or had it: none adopts a session to close it.
absl::Status PlannerSession::Close() {
  if (std::exchange(closed_, true) || adrift_) return absl::OkStatus();
  const auto request = Written<v1::CloseSessionRequest>();
  v1::CloseSessionResponse response;
  return shared_->Call(shared_->options.call_timeout, [&](grpc::ClientContext* context) {
    return stub().CloseSession(context, request, &response);
  });
}

absl::StatusOr<v1::GetSessionStatusResponse> PlannerSession::GetStatus() {
  v1::GetSessionStatusRequest request;
  request.set_session(name_);
  v1::GetSessionStatusResponse response;
  AUTOMOT_RETURN_IF_ERROR(Call(shared_->options.call_timeout, [&](grpc::ClientContext* context) {
    return stub().GetSessionStatus(context, request, &response);
  }));
  return response;
}

absl::StatusOr<v1::PinContextResponse> PlannerSession::PinContext(absl::Duration ttl) {
  auto request = Written<v1::PinContextRequest>();
  request.set_ttl_us(absl::ToInt64Microseconds(ttl));
  v1::PinContextResponse response;
  AUTOMOT_RETURN_IF_ERROR(CallWritten(&Stub::PinContext, request, &response));
  return response;
}

absl::Status PlannerSession::ReleaseContext(uint64_t context_lease) {
  auto request = Written<v1::ReleaseContextRequest>();
  request.set_context_lease(context_lease);
  v1::ReleaseContextResponse response;
  return CallWritten(&Stub::ReleaseContext, request, &response);
}

absl::StatusOr<std::unique_ptr<PlannerClient>> PlannerClient::Connect(const Options& options) {
  AUTOMOT_RETURN_IF_ERROR(ValidateRetryPolicy(options.retry));
  std::vector<std::string> addresses = options.addresses;
  if (addresses.empty()) addresses.push_back(options.address);
  for (const std::string& address : addresses) {
    AUTOMOT_RETURN_IF_ERROR(rpc::ValidateAddress(
        options.addresses.empty() ? "options.address" : "options.addresses", address));
  }
  AUTOMOT_ASSIGN_OR_RETURN(auto credentials, rpc::ChannelCredentialsFor(options.tls));
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxAnswerBytes);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kPingAfterMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kPingTimeoutMs);
  if (addresses.size() > 1) {
    // One that comes back shall be there for the next attempt of a call.
    arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
    arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 100);
    // In spite of its name the time that one attempt to connect may take.
    arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kConnectMs);
  }
  auto shared = std::make_shared<PlannerSession::Shared>();
  shared->options = options;
  for (const std::string& address : addresses) {
    shared->stubs.push_back(
        v1::PlanningService::NewStub(grpc::CreateCustomChannel(address, credentials, arguments)));
  }
  shared->addresses = std::move(addresses);
  auto client = std::unique_ptr<PlannerClient>(new PlannerClient(std::move(shared)));
  AUTOMOT_RETURN_IF_ERROR(client->WaitUntilReady());
  return client;
}

absl::Status PlannerClient::WaitUntilReady() {
  const Options& options = shared_->options;
  const absl::Time deadline = absl::Now() + options.connect_timeout;
  absl::Status last;
  for (absl::Duration left = options.connect_timeout; left > absl::ZeroDuration();
       left = deadline - absl::Now()) {
    v1::GetPlanningStatusResponse response;
    last = AskAny(std::min(left, options.call_timeout), &response);
    if (last.ok() && response.ready()) return last;
    if (NeverHelpsToWait(last)) return last;
    absl::SleepFor(std::min(kReadyPoll, left));
  }
  return absl::DeadlineExceededError(
      absl::StrCat("the planning service at ", absl::StrJoin(shared_->addresses, ", "),
                   " is not ready after ", absl::FormatDuration(options.connect_timeout), ": ",
                   last.ok() ? "still warming up" : last.ToString()));
}

// Each attempt asks the next replica.
absl::Status PlannerClient::AskAny(absl::Duration timeout,
                                   v1::GetPlanningStatusResponse* response) {
  return shared_->Call(timeout, [&](grpc::ClientContext* context) {
    const std::size_t turn = next_.fetch_add(1, std::memory_order_relaxed);
    Stub& stub = *shared_->stubs[turn % shared_->stubs.size()];
    return stub.GetPlanningStatus(context, v1::GetPlanningStatusRequest(), response);
  });
}

absl::StatusOr<std::unique_ptr<PlannerSession>> PlannerClient::OpenSession(
    const std::string& name, const v1::SessionOptions& options, const std::string& resume_token) {
  auto session = std::unique_ptr<PlannerSession>(new PlannerSession(shared_, name, options));
  AUTOMOT_RETURN_IF_ERROR(session->Open(resume_token));
  return session;
}

absl::StatusOr<v1::GetPlanningStatusResponse> PlannerClient::GetStatus() {
  v1::GetPlanningStatusResponse response;
  AUTOMOT_RETURN_IF_ERROR(AskAny(shared_->options.call_timeout, &response));
  return response;
}

}  // namespace automot::client
