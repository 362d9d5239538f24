// How one session is served: the plain form of automot.v1.SessionOptions, validated, with the
// defaults filled in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "common/types/observation.h"
#include "common/types/session_time.h"

namespace automot::planning {

enum class TimeMode : uint8_t { kRealtime, kStepped, kLockstep };
enum class OnMissingModality : uint8_t { kReject, kFlag };
enum class OnNoContext : uint8_t { kFallback, kReject, kPark };
enum class OnExpired : uint8_t { kFallback, kAnswer, kReject, kWait };
enum class OnRouteChange : uint8_t { kUse, kFlag, kFallback };

struct SessionOptions {
  double planning_rate_hz = 0.0;
  double reasoning_rate_hz = 0.0;
  TimeMode time_mode = TimeMode::kRealtime;
  SessionTimeUs simulated_latency_us = 0;  // STEPPED only
  uint32_t lockstep_ticks = 2;             // LOCKSTEP only
  SessionTimeUs soft_staleness_us = 500'000;
  SessionTimeUs hard_staleness_us = 1'000'000;
  SessionTimeUs retention_us = 30'000'000;
  OnExpired on_expired = OnExpired::kFallback;
  OnRouteChange on_route_change = OnRouteChange::kFlag;
  OnMissingModality on_missing_modality = OnMissingModality::kReject;
  OnNoContext on_no_context = OnNoContext::kFallback;
  bool run_controller = false;
  std::string required_model_revision;

  // Session time between two due refreshes.
  SessionTimeUs RefreshPeriodUs() const { return PeriodUs(reasoning_rate_hz); }
};

// Versions of a session that may be published and not visible yet (simulated latency).
inline constexpr int kMaxInvisibleVersions = 24;
// How many these options ask for.
int InvisibleVersions(const SessionOptions& options);

// INVALID_ARGUMENT naming field, value and limit.
absl::Status ValidateSessionOptions(const SessionOptions& options);

inline constexpr size_t kMaxSessionNameBytes = 128;

// INVALID_ARGUMENT unless `name` has 1 to 128 printable ASCII characters.
absl::Status ValidateSessionName(const std::string& name);

}  // namespace automot::planning
