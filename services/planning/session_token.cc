#include "services/planning/session_token.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>
#include <fstream>
#include <iterator>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/status/status_macros.h"

namespace automot::planning {
namespace {

constexpr char kVersion[] = "v1";
constexpr std::size_t kMaxTokenBytes = 4096;
constexpr std::size_t kSecretDigits = 32;
constexpr std::size_t kDigestBytes = 32;

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

absl::StatusOr<std::string> Digest(std::string_view text, std::string_view key) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  if (HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
           reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data(),
           &size) == nullptr ||
      size != kDigestBytes) {
    return absl::InternalError("HMAC-SHA256 failed");
  }
  return std::string(reinterpret_cast<const char*>(digest.data()), size);
}

absl::Status Denied(absl::string_view why) {
  return absl::PermissionDeniedError(absl::StrCat("resume_token ", why));
}

// Reads the fields of a payload one after the other; remembers that one was not what it should be.
class FieldReader {
 public:
  explicit FieldReader(const std::vector<std::string>& fields) : fields_(fields) {}

  std::string Text() {
    if (next_ < fields_.size()) return fields_[next_++];
    good_ = false;
    return "";
  }
  template <typename Number>
  Number Integer() {
    Number value = 0;
    good_ = absl::SimpleAtoi(Text(), &value) && good_;
    return value;
  }
  double Real() {
    double value = 0.0;
    good_ = absl::SimpleAtod(Text(), &value) && good_;
    return value;
  }
  // An enum's number, `last` at most.
  template <typename Enum>
  Enum Choice(Enum last) {
    const auto value = Integer<uint32_t>();
    good_ = good_ && value <= static_cast<uint32_t>(last);
    return good_ ? static_cast<Enum>(value) : last;
  }
  bool good() const { return good_ && next_ == fields_.size(); }

 private:
  const std::vector<std::string>& fields_;
  std::size_t next_ = 0;
  bool good_ = true;
};

// One field a line; ReadPayload has the same order.
std::string Payload(const SessionToken& token) {
  const SessionOptions& o = token.options;
  const auto number = [](auto choice) { return static_cast<uint32_t>(choice); };
  return absl::StrJoin(
      {token.session, token.secret, absl::StrCat(token.episode),
       absl::StrFormat("%.17g", o.planning_rate_hz), absl::StrFormat("%.17g", o.reasoning_rate_hz),
       absl::StrCat(number(o.time_mode)), absl::StrCat(o.simulated_latency_us),
       absl::StrCat(o.lockstep_ticks), absl::StrCat(o.soft_staleness_us),
       absl::StrCat(o.hard_staleness_us), absl::StrCat(o.retention_us),
       absl::StrCat(number(o.on_expired)), absl::StrCat(number(o.on_route_change)),
       absl::StrCat(number(o.on_missing_modality)), absl::StrCat(number(o.on_no_context)),
       absl::StrCat(o.run_controller ? 1 : 0), absl::BytesToHexString(o.required_model_revision)},
      "\n");
}

absl::StatusOr<SessionToken> ReadPayload(const std::string& payload) {
  const std::vector<std::string> fields = absl::StrSplit(payload, '\n');
  FieldReader reader(fields);
  SessionToken token;
  SessionOptions& o = token.options;
  token.session = reader.Text();
  token.secret = reader.Text();
  token.episode = reader.Integer<uint32_t>();
  o.planning_rate_hz = reader.Real();
  o.reasoning_rate_hz = reader.Real();
  o.time_mode = reader.Choice(TimeMode::kLockstep);
  o.simulated_latency_us = reader.Integer<SessionTimeUs>();
  o.lockstep_ticks = reader.Integer<uint32_t>();
  o.soft_staleness_us = reader.Integer<SessionTimeUs>();
  o.hard_staleness_us = reader.Integer<SessionTimeUs>();
  o.retention_us = reader.Integer<SessionTimeUs>();
  o.on_expired = reader.Choice(OnExpired::kWait);
  o.on_route_change = reader.Choice(OnRouteChange::kFallback);
  o.on_missing_modality = reader.Choice(OnMissingModality::kFlag);
  o.on_no_context = reader.Choice(OnNoContext::kPark);
  o.run_controller = reader.Integer<uint32_t>() != 0;
  o.required_model_revision = absl::HexStringToBytes(reader.Text());
  if (!reader.good() || token.secret.size() != kSecretDigits || token.episode == 0 ||
      !ValidateSessionName(token.session).ok() || !ValidateSessionOptions(o).ok()) {
    return Denied("says what this version does not know");
  }
  return token;
}

}  // namespace

absl::StatusOr<std::string> SignToken(const SessionToken& token, std::string_view key) {
  const std::string text = absl::StrCat(kVersion, ".", absl::WebSafeBase64Escape(Payload(token)));
  AUTOMOT_ASSIGN_OR_RETURN(const std::string digest, Digest(text, key));
  return absl::StrCat(text, ".", absl::WebSafeBase64Escape(digest));
}

absl::StatusOr<SessionToken> VerifyToken(std::string_view text, std::string_view key) {
  constexpr absl::string_view kUnsigned = "was not signed with the key of this service";
  if (text.size() > kMaxTokenBytes) return Denied(kUnsigned);
  const std::vector<std::string> parts = absl::StrSplit(View(text), '.');
  std::string payload, theirs;
  if (parts.size() != 3 || parts[0] != kVersion ||
      !absl::WebSafeBase64Unescape(parts[1], &payload) ||
      !absl::WebSafeBase64Unescape(parts[2], &theirs) || theirs.size() != kDigestBytes) {
    return Denied(kUnsigned);
  }
  AUTOMOT_ASSIGN_OR_RETURN(const std::string ours,
                           Digest(absl::StrCat(parts[0], ".", parts[1]), key));
  // In a time that says nothing of where they differ.
  if (CRYPTO_memcmp(ours.data(), theirs.data(), kDigestBytes) != 0) return Denied(kUnsigned);
  return ReadPayload(payload);
}

absl::StatusOr<std::string> ReadSessionKey(std::string_view flag, const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string key;
  for (char c = 0; key.size() <= kMaxSessionKeyBytes && file.get(c);) key.push_back(c);
  while (!key.empty() && (key.back() == '\n' || key.back() == '\r')) key.pop_back();
  if (!file.is_open()) {
    return absl::InvalidArgumentError(
        absl::StrCat(View(flag), " is '", path, "', which cannot be read"));
  }
  if (key.size() < kMinSessionKeyBytes || key.size() > kMaxSessionKeyBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(View(flag), " is '", path, "', whose key has ", key.size(),
                     " bytes; the limits are ", kMinSessionKeyBytes, " and ", kMaxSessionKeyBytes));
  }
  return key;
}

}  // namespace automot::planning
