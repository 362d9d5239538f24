// absl::Status <-> grpc::Status: the one seam between the two (codes have the same numbers).
#pragma once

#include <grpcpp/support/status.h>

#include <string>

#include "absl/status/status.h"

namespace automot::rpc {

// The message, cut after 4 KiB: an error never outgrows HTTP/2's header limits and never echoes
// what was absurd.
std::string BoundedMessage(const absl::Status& status);

grpc::Status ToGrpcStatus(const absl::Status& status);

absl::Status FromGrpcStatus(const grpc::Status& status);

}  // namespace automot::rpc
