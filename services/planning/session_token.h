// Resume tokens that replicas of the planning service understand from each other: what a session
// is, signed with a key that they share (HMAC-SHA256). Not encrypted: a client may read its own.
// Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "services/planning/session_options.h"

namespace automot::planning {

struct SessionToken {
  std::string session;  // as ValidateSessionName has it
  std::string secret;   // of this session, whoever serves it: 32 hexadecimal digits
  uint32_t episode = 1;
  SessionOptions options;
};

inline constexpr std::size_t kMinSessionKeyBytes = 32;
inline constexpr std::size_t kMaxSessionKeyBytes = 4096;

// `v1.` and two parts in the letters of RFC 4648's base64url.
absl::StatusOr<std::string> SignToken(const SessionToken& token, std::string_view key);
// PERMISSION_DENIED where the token is not one that was signed with `key`, or says what this
// version does not know; the message never repeats the token.
absl::StatusOr<SessionToken> VerifyToken(std::string_view text, std::string_view key);

// The key in `path`, without line ends behind it. INVALID_ARGUMENT naming `flag` where it cannot be
// read or has not kMinSessionKeyBytes to kMaxSessionKeyBytes.
absl::StatusOr<std::string> ReadSessionKey(std::string_view flag, const std::string& path);

}  // namespace automot::planning
