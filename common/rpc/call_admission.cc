#include "common/rpc/call_admission.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/rpc/client_identity.h"
#include "common/status/status_macros.h"

namespace automot::rpc {

void AddRetryAfter(grpc::ServerContextBase* call, absl::Duration delay) {
  if (delay <= absl::ZeroDuration()) return;
  call->AddTrailingMetadata(kRetryAfterKey,
                            absl::StrCat(std::max<int64_t>(1, absl::ToInt64Milliseconds(delay))));
}

absl::Status CallAdmission::Check(grpc::ServerContextBase* call, const std::string& method,
                                  const google::protobuf::MessageLite& message,
                                  uint32_t requests) const {
  AUTOMOT_RETURN_IF_ERROR(allow_list->Check(*call, method));
  if (quotas == nullptr || !quotas->enabled()) return absl::OkStatus();
  ClientQuotas::Verdict verdict =
      quotas->Charge(ClientIdentityOf(*call), requests, message.ByteSizeLong());
  AddRetryAfter(call, verdict.retry_after);
  return verdict.status;
}

}  // namespace automot::rpc
