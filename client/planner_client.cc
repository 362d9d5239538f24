#include "client/planner_client.h"

#include <grpcpp/create_channel.h>

#include <functional>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/rpc/status_conversion.h"
#include "common/status/status_macros.h"

namespace automot::client {

namespace v1 = automot::v1;

struct PlannerSession::Shared {
  PlannerClient::Options options;
  std::unique_ptr<v1::PlanningService::Stub> stub;

  // Calls `attempt` until it succeeds, must not be retried, or `timeout` has passed. `*attempts` is
  // how often it was called.
  absl::Status Call(absl::Duration timeout, int* attempts,
                    const std::function<grpc::Status(grpc::ClientContext*)>& attempt) const {
    const absl::Time deadline = absl::Now() + timeout;
    RetryState retries(options.retry, deadline);
    for (;;) {
      grpc::ClientContext context;
      context.set_deadline(absl::ToChronoTime(deadline));
      const absl::Status status = rpc::FromGrpcStatus(attempt(&context));
      if (attempts != nullptr) *attempts = retries.attempts();
      absl::Duration delay;
      if (status.ok() || !retries.ShouldRetry(status, ServerDelay(context), &delay)) return status;
      absl::SleepFor(delay);
    }
  }

  static absl::Duration ServerDelay(const grpc::ClientContext& context) {
    const auto& metadata = context.GetServerTrailingMetadata();
    const auto found = metadata.find("automot-retry-after-ms");
    int64_t ms = 0;
    if (found == metadata.end() ||
        !absl::SimpleAtoi(absl::string_view(found->second.data(), found->second.size()), &ms)) {
      return absl::ZeroDuration();
    }
    return absl::Milliseconds(ms);
  }
};

PlannerSession::PlannerSession(std::shared_ptr<Shared> shared, std::string name,
                               v1::OpenSessionResponse opened)
    : shared_(std::move(shared)), name_(std::move(name)), opened_(std::move(opened)) {}

PlannerSession::~PlannerSession() { Close().IgnoreError(); }

absl::StatusOr<v1::PlanResponse> PlannerSession::Plan(const v1::Observation& observation,
                                                      const PlanOptions& options) {
  v1::PlanRequest request;
  request.set_session(name_);
  request.set_lease(opened_.lease());
  request.set_sequence(++sequence_);
  *request.mutable_observation() = observation;
  *request.mutable_context() = options.context;
  const absl::Duration timeout =
      options.timeout > absl::ZeroDuration() ? options.timeout : shared_->options.plan_timeout;
  v1::PlanResponse response;
  int attempts = 0;
  const absl::Status status = shared_->Call(timeout, &attempts, [&](grpc::ClientContext* context) {
    return shared_->stub->Plan(context, request, &response);
  });
  if (absl::IsAlreadyExists(status) && attempts > 1) {
    return absl::UnavailableError(
        "the connection broke after the plan had been accepted; its answer is lost");
  }
  if (!status.ok()) return status;
  return response;
}

absl::Status PlannerSession::Reset() {
  v1::ResetSessionRequest request;
  request.set_session(name_);
  request.set_lease(opened_.lease());
  v1::ResetSessionResponse response;
  AUTOMOT_RETURN_IF_ERROR(
      shared_->Call(shared_->options.call_timeout, nullptr, [&](grpc::ClientContext* context) {
        return shared_->stub->ResetSession(context, request, &response);
      }));
  opened_.set_episode(response.episode());
  return absl::OkStatus();
}

absl::Status PlannerSession::KeepAlive() {
  v1::KeepAliveRequest request;
  request.set_session(name_);
  request.set_lease(opened_.lease());
  v1::KeepAliveResponse response;
  return shared_->Call(shared_->options.call_timeout, nullptr, [&](grpc::ClientContext* context) {
    return shared_->stub->KeepAlive(context, request, &response);
  });
}

absl::Status PlannerSession::Close() {
  if (std::exchange(closed_, true)) return absl::OkStatus();
  v1::CloseSessionRequest request;
  request.set_session(name_);
  request.set_lease(opened_.lease());
  v1::CloseSessionResponse response;
  return shared_->Call(shared_->options.call_timeout, nullptr, [&](grpc::ClientContext* context) {
    return shared_->stub->CloseSession(context, request, &response);
  });
}

absl::StatusOr<v1::GetSessionStatusResponse> PlannerSession::GetStatus() {
  v1::GetSessionStatusRequest request;
  request.set_session(name_);
  v1::GetSessionStatusResponse response;
  AUTOMOT_RETURN_IF_ERROR(
      shared_->Call(shared_->options.call_timeout, nullptr, [&](grpc::ClientContext* context) {
        return shared_->stub->GetSessionStatus(context, request, &response);
      }));
  return response;
}

absl::StatusOr<std::unique_ptr<PlannerClient>> PlannerClient::Connect(const Options& options) {
  AUTOMOT_ASSIGN_OR_RETURN(auto credentials, rpc::ChannelCredentialsFor(options.tls));
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(64 << 20);
  auto shared = std::make_shared<PlannerSession::Shared>();
  shared->options = options;
  shared->stub = v1::PlanningService::NewStub(
      grpc::CreateCustomChannel(options.address, credentials, arguments));
  auto client = std::unique_ptr<PlannerClient>(new PlannerClient(std::move(shared)));

  const absl::Time deadline = absl::Now() + options.connect_timeout;
  absl::Status last;
  while (absl::Now() < deadline) {
    absl::StatusOr<v1::GetPlanningStatusResponse> status = client->GetStatus();
    if (status.ok() && status->ready()) return client;
    last = status.status();
    absl::SleepFor(absl::Milliseconds(50));
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
  AUTOMOT_RETURN_IF_ERROR(
      shared_->Call(shared_->options.call_timeout, nullptr, [&](grpc::ClientContext* context) {
        return shared_->stub->OpenSession(context, request, &response);
      }));
  return std::unique_ptr<PlannerSession>(new PlannerSession(shared_, name, std::move(response)));
}

absl::StatusOr<v1::GetPlanningStatusResponse> PlannerClient::GetStatus() {
  v1::GetPlanningStatusRequest request;
  v1::GetPlanningStatusResponse response;
  AUTOMOT_RETURN_IF_ERROR(
      shared_->Call(shared_->options.call_timeout, nullptr, [&](grpc::ClientContext* context) {
        return shared_->stub->GetPlanningStatus(context, request, &response);
      }));
  return response;
}

}  // namespace automot::client
