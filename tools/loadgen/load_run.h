// One run of a load: its vehicles side by side, from their sessions' opening to their closing.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "tools/loadgen/vehicle.h"

namespace automot::loadgen {

struct LoadOptions {
  TargetOptions target;
  int vehicles = 8;
  std::vector<double> rates_hz = {10.0};                    // the vehicles' in turn
  std::vector<PayloadKind> payloads = {PayloadKind::kBev};  // the vehicles' in turn
  PayloadOptions payload;                                   // what they share
  double jitter = 0.1;
  Ramp ramp;
  absl::Duration warm_up = absl::Seconds(2);
  absl::Duration measured = absl::Seconds(10);
  int64_t requests = 0;  // of all vehicles together, warm-up included; 0: by time alone
  absl::Duration deadline = absl::Milliseconds(100);
  Mode mode = Mode::kUnary;
  automot::v1::SessionOptions session;
  ChaosOptions chaos;
  uint64_t seed = 1;
  std::string name_prefix;  // of the sessions; unlike that of every other load on the same server
};

struct RunResult {
  double load = 1.0;        // multiple of the vehicles' rates at the end
  double offered_hz = 0.0;  // ticks that were intended per second of the measurement
  absl::Duration measured;  // wall
  Tally tally;
};

// Called about once a second with what there is so far.
using OnProgress = std::function<void(absl::Duration since_start, const Tally& so_far)>;

// Waits for the servers, then runs. `stop` ends it early (from a signal, say). Blocks; the threads
// that it makes end with it.
absl::StatusOr<RunResult> RunLoad(const LoadOptions& options, const OnProgress& progress,
                                  const std::atomic<bool>* stop);

}  // namespace automot::loadgen
