#include "tools/loadgen/load_profile.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace automot::loadgen {
namespace {

constexpr double kSmallestLoad = 0.001, kLargestLoad = 1000.0, kLongestSeconds = 86400.0;

double Fraction(std::mt19937_64& random) {
  return static_cast<double>(random() >> 11U) * 0x1p-53;  // the same with every standard library
}

}  // namespace

double Ramp::At(absl::Duration since_start) const {
  if (over <= absl::ZeroDuration() || since_start >= over) return to;
  if (since_start <= absl::ZeroDuration()) return from;
  return from + (to - from) * absl::FDivDuration(since_start, over);
}

absl::StatusOr<Ramp> ParseRamp(absl::string_view text) {
  const std::vector<std::string> parts = absl::StrSplit(text, ':');
  double from = 0.0, to = 0.0, seconds = 0.0;
  if (parts.size() != 3 || !absl::SimpleAtod(parts[0], &from) || !absl::SimpleAtod(parts[1], &to) ||
      !absl::SimpleAtod(parts[2], &seconds)) {
    return absl::InvalidArgumentError(
        absl::StrCat("ramp is '", text, "'; it must be FROM:TO:SECONDS"));
  }
  for (const double load : {from, to}) {
    if (load >= kSmallestLoad && load <= kLargestLoad) continue;
    return absl::InvalidArgumentError(absl::StrCat("ramp's load is ", load, "; the limits are ",
                                                   kSmallestLoad, " and ", kLargestLoad));
  }
  if (!(seconds >= 0.0 && seconds <= kLongestSeconds)) {
    return absl::InvalidArgumentError(
        absl::StrCat("ramp's seconds are ", seconds, "; the limits are 0 and ", kLongestSeconds));
  }
  return Ramp{from, to, absl::Seconds(seconds)};
}

TickSchedule::TickSchedule(const Options& options) : options_(options), random_(options.seed) {
  // Vehicles do not start in step.
  grid_ = Fraction(random_) * absl::Seconds(1.0 / (options_.rate_hz * options_.ramp.from));
}

absl::Duration TickSchedule::Next() {
  const absl::Duration period = absl::Seconds(1.0 / (options_.rate_hz * options_.ramp.At(grid_)));
  const absl::Duration moved = grid_ + (Fraction(random_) - 0.5) * options_.jitter * period;
  grid_ += period;
  last_ = std::max(last_, moved);
  return last_;
}

}  // namespace automot::loadgen
