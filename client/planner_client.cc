#include "client/planner_client.h"

#include <grpcpp/create_channel.h>

#include <algorithm>
#include <functional>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/rpc/address.h"
#include "common/rpc/status_conversion.h"
#include "common/status/status_macros.h"

namespace automot::client {

namespace v1 = automot::v1;

namespace {

constexpr int kMaxAnswerBytes = 64 << 20;
constexpr absl::Duration kReadyPoll = absl::Milliseconds(50);

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

bool NeverHelpsToWait(const absl::Status& status) {
  return absl::IsPermissionDenied(status) || absl::IsUnauthenticated(status) ||
         absl::IsUnimplemented(status);
}

}  // namespace

struct PlannerSession::Shared {
  PlannerClient::Options options;
  std::unique_ptr<v1::PlanningService::Stub> stub;

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

  // A call that may be repeated without harm.
  template <typename Request, typename Response>
  absl::Status Call(grpc::Status (v1::PlanningService::Stub::*method)(grpc::ClientContext*,
                                                                      const Request&, Response*),
                    const Request& request, Response* response) const {
    return Call(options.call_timeout, [&](grpc::ClientContext* context) {
      return (stub.get()->*method)(context, request, response);
    });
  }
};

using Stub = v1::PlanningService::Stub;

PlannerSession::PlannerSession(std::shared_ptr<Shared> shared, std::string name,
                               v1::OpenSessionResponse opened)
    : shared_(std::move(shared)), name_(std::move(name)), opened_(std::move(opened)) {}

PlannerSession::~PlannerSession() { Close().IgnoreError(); }

template <typename Request>
Request PlannerSession::Written() const {
  Request request;
  request.set_session(name_);
  request.set_lease(opened_.lease());
  return request;
}

absl::StatusOr<v1::PlanResponse> PlannerSession::Plan(const v1::Observation& observation,
                                                      const PlanOptions& options) {
  auto request = Written<v1::PlanRequest>();
  *request.mutable_observation() = observation;
  *request.mutable_context() = options.context;
  request.set_on_expired(options.on_expired);
  const absl::Duration timeout =
      options.timeout > absl::ZeroDuration() ? options.timeout : shared_->options.plan_timeout;
  v1::PlanResponse response;
  bool perhaps_accepted = false;  // an attempt under this sequence ended without a word
  request.set_sequence(++sequence_);
  const absl::Status status = shared_->Call(timeout, [&](grpc::ClientContext* context) {
    const grpc::Status attempt = shared_->stub->Plan(context, request, &response);
    if (attempt.error_code() == grpc::RESOURCE_EXHAUSTED) request.set_sequence(++sequence_);
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
      shared_->Call(&Stub::ResetSession, Written<v1::ResetSessionRequest>(), &response));
  opened_.set_episode(response.episode());
  return absl::OkStatus();
}

absl::Status PlannerSession::KeepAlive() {
  v1::KeepAliveResponse response;
  return shared_->Call(&Stub::KeepAlive, Written<v1::KeepAliveRequest>(), &response);
}

absl::Status PlannerSession::Close() {
  if (std::exchange(closed_, true)) return absl::OkStatus();
  v1::CloseSessionResponse response;
  return shared_->Call(&Stub::CloseSession, Written<v1::CloseSessionRequest>(), &response);
}

absl::StatusOr<v1::GetSessionStatusResponse> PlannerSession::GetStatus() {
  v1::GetSessionStatusRequest request;
  request.set_session(name_);
  v1::GetSessionStatusResponse response;
  AUTOMOT_RETURN_IF_ERROR(shared_->Call(&Stub::GetSessionStatus, request, &response));
  return response;
}

absl::StatusOr<v1::PinContextResponse> PlannerSession::PinContext(absl::Duration ttl) {
  auto request = Written<v1::PinContextRequest>();
  request.set_ttl_us(absl::ToInt64Microseconds(ttl));
  v1::PinContextResponse response;
  AUTOMOT_RETURN_IF_ERROR(shared_->Call(&Stub::PinContext, request, &response));
  return response;
}

absl::Status PlannerSession::ReleaseContext(uint64_t context_lease) {
  auto request = Written<v1::ReleaseContextRequest>();
  request.set_context_lease(context_lease);
  v1::ReleaseContextResponse response;
  return shared_->Call(&Stub::ReleaseContext, request, &response);
}

absl::StatusOr<std::unique_ptr<PlannerClient>> PlannerClient::Connect(const Options& options) {
  AUTOMOT_RETURN_IF_ERROR(ValidateRetryPolicy(options.retry));
  AUTOMOT_RETURN_IF_ERROR(rpc::ValidateAddress("options.address", options.address));
  AUTOMOT_ASSIGN_OR_RETURN(auto credentials, rpc::ChannelCredentialsFor(options.tls));
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxAnswerBytes);
  auto shared = std::make_shared<PlannerSession::Shared>();
  shared->options = options;
  shared->stub = v1::PlanningService::NewStub(
      grpc::CreateCustomChannel(options.address, credentials, arguments));
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
    last = shared_->Call(std::min(left, options.call_timeout), [&](grpc::ClientContext* context) {
      return shared_->stub->GetPlanningStatus(context, v1::GetPlanningStatusRequest(), &response);
    });
    if (last.ok() && response.ready()) return last;
    if (NeverHelpsToWait(last)) return last;
    absl::SleepFor(std::min(kReadyPoll, left));
  }
  return absl::DeadlineExceededError(
      absl::StrCat("the planning service at ", options.address, " is not ready after ",
                   absl::FormatDuration(options.connect_timeout), ": ",
                   last.ok() ? "still warming up" : last.ToString()));
}

absl::StatusOr<std::unique_ptr<PlannerSession>> PlannerClient::OpenSession(
    const std::string& name, const v1::SessionOptions& options, const std::string& resume_token) {
  v1::OpenSessionRequest request;
  request.set_session(name);
  request.set_resume_token(resume_token);
  *request.mutable_options() = options;
  v1::OpenSessionResponse response;
  bool perhaps_opened = false;  // an attempt ended without a word
  const absl::Status status =
      shared_->Call(shared_->options.call_timeout, [&](grpc::ClientContext* context) {
        const grpc::Status attempt = shared_->stub->OpenSession(context, request, &response);
        perhaps_opened = perhaps_opened || attempt.error_code() == grpc::UNAVAILABLE;
        return attempt;
      });
  if (absl::IsAlreadyExists(status) && perhaps_opened) {
    return absl::UnavailableError(absl::StrCat(
        "the connection broke while session '", name,
        "' was being opened; its token is lost, and the name is free when its lease ends"));
  }
  AUTOMOT_RETURN_IF_ERROR(status);
  return std::unique_ptr<PlannerSession>(new PlannerSession(shared_, name, std::move(response)));
}

absl::StatusOr<v1::GetPlanningStatusResponse> PlannerClient::GetStatus() {
  v1::GetPlanningStatusResponse response;
  AUTOMOT_RETURN_IF_ERROR(
      shared_->Call(&Stub::GetPlanningStatus, v1::GetPlanningStatusRequest(), &response));
  return response;
}

}  // namespace automot::client
