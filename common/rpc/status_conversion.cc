#include "common/rpc/status_conversion.h"

#include <string>

namespace automot::rpc {
namespace {

constexpr size_t kMaxMessageBytes = 4096;

}  // namespace

std::string BoundedMessage(const absl::Status& status) {
  return std::string(status.message().substr(0, kMaxMessageBytes));
}

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  return {static_cast<grpc::StatusCode>(status.raw_code()), BoundedMessage(status)};
}

absl::Status FromGrpcStatus(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  return {static_cast<absl::StatusCode>(status.error_code()), status.error_message()};
}

}  // namespace automot::rpc
