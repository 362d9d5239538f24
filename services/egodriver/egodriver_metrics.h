// What the egodriver service counts. The base class counts nothing: tests use it as it is.
#pragma once

#include <cstdint>

#include "absl/status/status.h"

namespace automot::egodriver {

enum class Method : uint8_t {
  kGetVersion,
  kStartSession,
  kSubmitImageObservation,
  kSubmitEgomotionObservation,
  kSubmitRoute,
  kSubmitRecordingGroundTruth,
  kDrive,
  kCloseSession,
};
inline constexpr int kMethodCount = 8;

enum class RolloutEnd : uint8_t { kClosed, kExpired, kDrained };
inline constexpr int kRolloutEndCount = 3;

// Thread-safe.
class EgodriverMetrics {
 public:
  virtual ~EgodriverMetrics() = default;
  // Wall time from the call's arrival to its answer.
  virtual void ObserveRpc(Method, absl::StatusCode, double /*seconds*/) {}
  virtual void SetRollouts(uint32_t /*running*/, uint32_t /*waiting*/) {}
  virtual void CountRolloutEnd(RolloutEnd) {}
  // A drive whose place in the queue was refused and asked for again.
  virtual void CountDriveRetry() {}
};

}  // namespace automot::egodriver
