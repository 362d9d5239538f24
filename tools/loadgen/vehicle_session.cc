#include "tools/loadgen/vehicle_session.h"

#include <grpcpp/create_channel.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/rpc/rendezvous_hash.h"
#include "common/rpc/status_conversion.h"
#include "common/status/status_macros.h"

namespace automot::loadgen {
namespace {

namespace v1 = automot::v1;

constexpr int kReconnectMs = 100;
constexpr absl::Duration kReadyPoll = absl::Milliseconds(100);

void SetDeadline(absl::Duration timeout, grpc::ClientContext* call) {
  call->set_deadline(absl::ToChronoTime(absl::Now() + timeout));
}

std::shared_ptr<grpc::Channel> NewChannel(const TargetOptions& target, const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // a connection of its own
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kReconnectMs);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kReconnectMs);
  return grpc::CreateCustomChannel(address, target.credentials, arguments);
}

}  // namespace

VehicleSession::VehicleSession(const TargetOptions* target, std::string name,
                               const v1::SessionOptions& options)
    : target_(target),
      name_(std::move(name)),
      options_(options),
      order_(rpc::RendezvousOrder(name_, target->addresses)) {}

VehicleSession::~VehicleSession() {
  if (open_) Close().IgnoreError();
}

void VehicleSession::Connect() {
  if (stub_ != nullptr) return;
  channel_ = NewChannel(*target_, target_->addresses[order_[replica_]]);
  stub_ = v1::PlanningService::NewStub(channel_);
}

void VehicleSession::Disconnect() {
  stub_.reset();
  channel_.reset();
  open_ = false;
}

absl::Status VehicleSession::Open(const std::string& token) {
  v1::OpenSessionRequest request;
  request.set_session(name_);
  request.set_resume_token(token);
  *request.mutable_options() = options_;
  v1::OpenSessionResponse response;
  grpc::ClientContext call;
  SetDeadline(target_->call_timeout, &call);
  AUTOMOT_RETURN_IF_ERROR(rpc::FromGrpcStatus(stub_->OpenSession(&call, request, &response)));
  opened_ = std::move(response);
  token_ = opened_.resume_token();
  sequence_ = 0;
  open_ = true;
  return absl::OkStatus();
}

absl::Status VehicleSession::EnsureOpen(bool* fresh) {
  *fresh = false;
  if (open_) return absl::OkStatus();
  Connect();
  bool was_new = token_.empty();
  absl::Status status = Open(token_);
  // A server that does not know the session, and cannot or will not adopt it.
  const bool unknown = absl::IsNotFound(status) || absl::IsUnimplemented(status);
  if (unknown && !token_.empty()) {
    token_.clear();
    was_new = true;
    status = Open("");
  }
  if (status.ok()) {
    *fresh = was_new;
    return status;
  }
  if (absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status)) {
    Disconnect();
    replica_ = (replica_ + 1) % order_.size();
  }
  return status;
}

absl::Status VehicleSession::Reset() {
  v1::ResetSessionRequest request;
  request.set_session(name_);
  request.set_lease(lease());
  v1::ResetSessionResponse response;
  grpc::ClientContext call;
  SetDeadline(target_->call_timeout, &call);
  const grpc::Status status = stub_->ResetSession(&call, request, &response);
  if (!status.ok()) {
    open_ = false;  // the episode is not known: taking it over tells
    Notice(status.error_code());
    return rpc::FromGrpcStatus(status);
  }
  opened_.set_episode(response.episode());
  if (!response.resume_token().empty()) token_ = response.resume_token();
  return absl::OkStatus();
}

absl::Status VehicleSession::Close() {
  open_ = false;
  if (stub_ == nullptr) return absl::OkStatus();
  v1::CloseSessionRequest request;
  request.set_session(name_);
  request.set_lease(lease());
  v1::CloseSessionResponse response;
  grpc::ClientContext call;
  SetDeadline(target_->call_timeout, &call);
  const grpc::Status status = stub_->CloseSession(&call, request, &response);
  if (status.ok()) token_.clear();
  return rpc::FromGrpcStatus(status);
}

void VehicleSession::Notice(grpc::StatusCode code) {
  if (code == grpc::UNAVAILABLE) Disconnect();
  // Gone, or another writer's: a take-over tells which.
  if (code == grpc::NOT_FOUND || code == grpc::ABORTED) open_ = false;
}

absl::StatusOr<v1::GetPlanningStatusResponse> AwaitServer(const TargetOptions& target,
                                                          const std::string& address,
                                                          absl::Duration patience) {
  const auto stub = v1::PlanningService::NewStub(NewChannel(target, address));
  const absl::Time end = absl::Now() + patience;
  for (;;) {
    grpc::ClientContext call;
    SetDeadline(target.call_timeout, &call);
    v1::GetPlanningStatusResponse response;
    const grpc::Status status =
        stub->GetPlanningStatus(&call, v1::GetPlanningStatusRequest(), &response);
    if (status.ok() && response.ready()) return response;
    if (absl::Now() > end) {
      return absl::DeadlineExceededError(absl::StrCat(
          "'", address, "' is not ready: ", status.ok() ? "it says so" : status.error_message()));
    }
    absl::SleepFor(kReadyPoll);
  }
}

}  // namespace automot::loadgen
