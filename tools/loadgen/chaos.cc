#include "tools/loadgen/chaos.h"

#include <algorithm>
#include <iterator>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace automot::loadgen {
namespace {

constexpr uint64_t kVehicleStep = 0x9e3779b97f4a7c15U;  // keeps the vehicles' seeds apart

}  // namespace

std::string_view ToString(ChaosAct act) {
  static constexpr std::array<std::string_view, kChaosActs.size()> kNames = {
      "disconnect", "slow_reader", "clock_skew", "cancel", "reset", "reopen"};
  return kNames.at(static_cast<std::size_t>(act));
}

absl::StatusOr<std::set<ChaosAct>> ParseChaos(absl::string_view text) {
  std::set<ChaosAct> acts;
  for (const absl::string_view name : absl::StrSplit(text, ',', absl::SkipEmpty())) {
    const auto* const act = std::find_if(kChaosActs.begin(), kChaosActs.end(), [&](ChaosAct known) {
      return ToString(known) == std::string_view(name.data(), name.size());
    });
    if (act == kChaosActs.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("chaos has '", name,
                       "'; it knows disconnect, slow_reader, clock_skew, cancel, reset, reopen"));
    }
    acts.insert(*act);
  }
  return acts;
}

Chaos::Chaos(const ChaosOptions& options, uint64_t vehicle)
    : options_(options), random_(options.seed + vehicle * kVehicleStep) {}

double Chaos::Size() { return static_cast<double>(random_() >> 11U) * 0x1p-53; }

std::optional<ChaosAct> Chaos::Next() {
  if (options_.acts.empty() || Size() >= options_.rate) return std::nullopt;
  const auto at = static_cast<std::size_t>(Size() * static_cast<double>(options_.acts.size()));
  return *std::next(options_.acts.begin(), static_cast<std::ptrdiff_t>(at));
}

}  // namespace automot::loadgen
