// What a run must hold to, as --require says it: 'p99_ms<=20,late_fraction<=0.001'. Pure.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "tools/loadgen/load_run.h"

namespace automot::loadgen {

struct Bound {
  std::string figure;
  bool at_most = true;  // else at least
  double limit = 0.0;

  std::string ToString() const;
};

// INVALID_ARGUMENT naming the part and the figures that there are.
absl::StatusOr<std::vector<Bound>> ParseBounds(absl::string_view text);

// A figure that bounds speak of. p50_ms .. max_ms count from the intended start; fractions are of
// the intended ticks; goodput_hz: answers in time per second of the measurement.
double FigureOf(const std::string& figure, const RunResult& result);

struct BoundVerdict {
  Bound bound;
  double value = 0.0;
  bool holds = true;
};
std::vector<BoundVerdict> CheckBounds(const std::vector<Bound>& bounds, const RunResult& result);

}  // namespace automot::loadgen
