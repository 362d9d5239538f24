#include "tools/loadgen/bounds.h"

#include <functional>
#include <map>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace automot::loadgen {
namespace {

using Figure = std::function<double(const RunResult&)>;

Figure PercentileMs(double fraction) {
  return [fraction](const RunResult& result) {
    return absl::ToDoubleMilliseconds(result.tally.from_intended.Percentile(fraction));
  };
}

Figure FractionOf(Outcome outcome) {
  return [outcome](const RunResult& result) {
    const auto all = static_cast<double>(result.tally.intended());
    return all == 0.0 ? 0.0 : static_cast<double>(result.tally.count(outcome)) / all;
  };
}

const std::map<std::string, Figure>& Figures() {
  static const auto* const figures = new std::map<std::string, Figure>{
      {"p50_ms", PercentileMs(0.5)},
      {"p90_ms", PercentileMs(0.9)},
      {"p99_ms", PercentileMs(0.99)},
      {"p999_ms", PercentileMs(0.999)},
      {"max_ms", PercentileMs(1.0)},
      {"on_time_fraction", FractionOf(Outcome::kOnTime)},
      {"late_fraction", FractionOf(Outcome::kLate)},
      {"refused_fraction", FractionOf(Outcome::kRefused)},
      {"failed_fraction", FractionOf(Outcome::kFailed)},
      {"unsent_fraction", FractionOf(Outcome::kUnsent)},
      {"refusal_p99_ms",
       [](const RunResult& result) {
         return absl::ToDoubleMilliseconds(result.tally.refusal.Percentile(0.99));
       }},
      {"answered",
       [](const RunResult& result) { return static_cast<double>(result.tally.answered()); }},
      {"proven", [](const RunResult& result) { return static_cast<double>(result.tally.proven); }},
      {"goodput_hz",
       [](const RunResult& result) {
         return static_cast<double>(result.tally.count(Outcome::kOnTime)) /
                absl::ToDoubleSeconds(result.measured);
       }},
  };
  return *figures;
}

absl::StatusOr<Bound> ParseBound(absl::string_view text) {
  for (const char* const sign : {"<=", ">="}) {
    const std::vector<std::string> sides = absl::StrSplit(text, sign);
    Bound bound{.figure = sides[0], .at_most = sign[0] == '<'};
    if (sides.size() != 2) continue;
    if (Figures().count(bound.figure) != 0 && absl::SimpleAtod(sides[1], &bound.limit)) {
      return bound;
    }
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "bound is '", text, "'; it must be FIGURE<=NUMBER or FIGURE>=NUMBER with a figure of ",
      absl::StrJoin(Figures(), ", ", [](std::string* out, const auto& entry) {
        absl::StrAppend(out, entry.first);
      })));
}

}  // namespace

std::string Bound::ToString() const { return absl::StrCat(figure, at_most ? "<=" : ">=", limit); }

absl::StatusOr<std::vector<Bound>> ParseBounds(absl::string_view text) {
  std::vector<Bound> bounds;
  for (const absl::string_view part : absl::StrSplit(text, ',', absl::SkipWhitespace())) {
    auto bound = ParseBound(part);
    if (!bound.ok()) return bound.status();
    bounds.push_back(*std::move(bound));
  }
  return bounds;
}

double FigureOf(const std::string& figure, const RunResult& result) {
  return Figures().at(figure)(result);
}

std::vector<BoundVerdict> CheckBounds(const std::vector<Bound>& bounds, const RunResult& result) {
  std::vector<BoundVerdict> verdicts;
  for (const Bound& bound : bounds) {
    const double value = FigureOf(bound.figure, result);
    verdicts.push_back({bound, value, bound.at_most ? value <= bound.limit : value >= bound.limit});
  }
  return verdicts;
}

}  // namespace automot::loadgen
