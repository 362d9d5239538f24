// What every call passes before its handler sees it: the allow-list, then its client's quota.
#pragma once

#include <google/protobuf/message_lite.h>
#include <grpcpp/server_context.h>

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/rpc/client_quotas.h"
#include "common/rpc/credentials.h"

namespace automot::rpc {

// Of the trailing metadata: how long to wait before the call is tried again, in milliseconds.
inline constexpr char kRetryAfterKey[] = "automot-retry-after-ms";

// At least 1 ms where `delay` is above zero; nothing where it is not. Before the call is finished.
void AddRetryAfter(grpc::ServerContextBase* call, absl::Duration delay);

// Constant; thread-safe as its parts are.
struct CallAdmission {
  const ClientAllowList* allow_list = nullptr;
  ClientQuotas* quotas = nullptr;  // null: none

  // A call of `method` that brought `message`, which counts as `requests`. PERMISSION_DENIED, or
  // RESOURCE_EXHAUSTED with the delay in the call's trailing metadata.
  absl::Status Check(grpc::ServerContextBase* call, const std::string& method,
                     const google::protobuf::MessageLite& message, uint32_t requests = 1) const;
};

}  // namespace automot::rpc
