// absl::Status <-> grpc::Status: the one seam between the two (codes have the same numbers).
#pragma once

#include <grpcpp/support/status.h>

#include "absl/status/status.h"

namespace automot::rpc {

// Messages longer than 4 KiB are cut, so that an error never outgrows HTTP/2's header limits.
grpc::Status ToGrpcStatus(const absl::Status& status);

absl::Status FromGrpcStatus(const grpc::Status& status);

}  // namespace automot::rpc
