// What a session may be called (planning_service.proto).
#pragma once

#include <algorithm>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace automot::reasoning {

// INVALID_ARGUMENT unless 1 to 128 printable ASCII characters.
inline absl::Status CheckSessionName(const std::string& name) {
  constexpr std::size_t kMaxBytes = 128;
  if (name.empty() || name.size() > kMaxBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("session has ", name.size(), " bytes; it must have 1 to ", kMaxBytes));
  }
  if (std::any_of(name.begin(), name.end(), [](char c) { return c < ' ' || c > '~'; })) {
    return absl::InvalidArgumentError("session holds a character that is not printable ASCII");
  }
  return absl::OkStatus();
}

}  // namespace automot::reasoning
