// automot.v1.SessionOptions <-> SessionOptions.
#pragma once

#include "absl/status/statusor.h"
#include "automot/v1/session.pb.h"
#include "services/planning/session_options.h"

namespace automot::planning {

// INVALID_ARGUMENT naming field, value and limit. Defaults are filled in (semantics 4 and 6).
absl::StatusOr<SessionOptions> SessionOptionsFromProto(const automot::v1::SessionOptions& proto);

// Defaults are filled in there too.
void SessionOptionsToProto(const SessionOptions& options, automot::v1::SessionOptions* proto);

automot::v1::OnExpired OnExpiredToProto(OnExpired on_expired);

// UNSPECIFIED gives `fallback`; INVALID_ARGUMENT, naming `field`, for a value that this
// version does not know.
absl::StatusOr<OnExpired> OnExpiredFromProto(const char* field, automot::v1::OnExpired proto,
                                             OnExpired fallback);

}  // namespace automot::planning
