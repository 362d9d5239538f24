#include "services/planning/session_options.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"

namespace automot::planning {
namespace {

constexpr SessionTimeUs kMaxSimulatedLatencyUs = 10'000'000;
constexpr SessionTimeUs kMaxLimitUs = 3'600'000'000;

absl::Status CheckRate(const char* field, double value, double limit) {
  if (std::isfinite(value) && value > 0.0 && value <= limit) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "options.", field, " is ", value, "; the limits are above 0 and at most ", limit, " Hz"));
}

absl::Status CheckDuration(const char* field, SessionTimeUs value, SessionTimeUs low,
                           SessionTimeUs high) {
  if (value >= low && value <= high) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "options.", field, " is ", value, " us; the limits are ", low, " and ", high, " us"));
}

}  // namespace

int InvisibleVersions(const SessionOptions& options) {
  return static_cast<int>(std::ceil(static_cast<double>(options.simulated_latency_us) * 1e-6 *
                                    options.reasoning_rate_hz));
}

absl::Status ValidateSessionOptions(const SessionOptions& options) {
  absl::Status status = CheckRate("planning_rate_hz", options.planning_rate_hz, 1000.0);
  status.Update(CheckRate("reasoning_rate_hz", options.reasoning_rate_hz, 100.0));
  status.Update(CheckDuration("simulated_latency_us", options.simulated_latency_us, 0,
                              kMaxSimulatedLatencyUs));
  status.Update(CheckDuration("soft_staleness_us", options.soft_staleness_us, 0, kMaxLimitUs));
  status.Update(CheckDuration("hard_staleness_us", options.hard_staleness_us,
                              options.soft_staleness_us, kMaxLimitUs));
  status.Update(
      CheckDuration("retention_us", options.retention_us, options.hard_staleness_us, kMaxLimitUs));
  if (options.simulated_latency_us > 0 && options.time_mode != TimeMode::kStepped) {
    status.Update(absl::InvalidArgumentError(
        absl::StrCat("options.simulated_latency_us is ", options.simulated_latency_us,
                     " us; it needs time_mode STEPPED, or must be 0")));
  }
  if (status.ok() && InvisibleVersions(options) > kMaxInvisibleVersions) {
    status.Update(absl::InvalidArgumentError(
        absl::StrCat("options.simulated_latency_us is ", options.simulated_latency_us, " us: at ",
                     options.reasoning_rate_hz, " Hz ", InvisibleVersions(options),
                     " contexts would be on their way; the limit is ", kMaxInvisibleVersions)));
  }
  if (options.time_mode == TimeMode::kLockstep &&
      (options.lockstep_ticks < 1 || options.lockstep_ticks > 1000)) {
    status.Update(absl::InvalidArgumentError(absl::StrCat(
        "options.lockstep_ticks is ", options.lockstep_ticks, "; the limits are 1 and 1000")));
  }
  return status;
}

absl::Status ValidateSessionName(const std::string& name) {
  const bool printable =
      std::all_of(name.begin(), name.end(), [](char c) { return c > ' ' && c <= '~'; });
  if (!name.empty() && name.size() <= kMaxSessionNameBytes && printable) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("session has ", name.size(),
                                                 " bytes; expected 1 to ", kMaxSessionNameBytes,
                                                 " printable ASCII characters without spaces"));
}

}  // namespace automot::planning
