#include "common/model/token_sampler.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "absl/strings/str_cat.h"

namespace automot::model {
namespace {

constexpr double kHottest = 100.0;

double OrImpossible(float logit) {
  return std::isnan(logit) ? -std::numeric_limits<double>::infinity() : logit;
}

// Descending, ties by token: the order of a sort must not depend on the library.
bool Likelier(const std::pair<double, int64_t>& a, const std::pair<double, int64_t>& b) {
  return a.first != b.first ? a.first > b.first : a.second < b.second;
}

}  // namespace

absl::Status ValidateSampling(const SamplingOptions& options) {
  if (!(options.temperature >= 0.0 && options.temperature <= kHottest)) {
    return absl::InvalidArgumentError(
        absl::StrCat("temperature is ", options.temperature, ", must be in [0, ", kHottest, "]"));
  }
  if (options.top_k < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("top_k is ", options.top_k, ", must not be negative"));
  }
  if (!(options.top_p > 0.0 && options.top_p <= 1.0)) {
    return absl::InvalidArgumentError(
        absl::StrCat("top_p is ", options.top_p, ", must be in (0, 1]"));
  }
  return absl::OkStatus();
}

void TokenSampler::KeepTopK(absl::Span<const float> logits) {
  candidates_.clear();
  double least = -std::numeric_limits<double>::infinity();
  const auto k = static_cast<size_t>(options_.top_k);
  if (k > 0 && k < logits.size()) {
    std::vector<double> sorted(logits.size());
    std::transform(logits.begin(), logits.end(), sorted.begin(), OrImpossible);
    const auto last = sorted.begin() + static_cast<ptrdiff_t>(k - 1);
    std::nth_element(sorted.begin(), last, sorted.end(), std::greater<>());
    least = *last;
  }
  for (size_t id = 0; id < logits.size(); ++id) {
    const double logit = OrImpossible(logits[id]);
    if (logit >= least) candidates_.emplace_back(logit, static_cast<int64_t>(id));
  }
}

void TokenSampler::KeepTopP() {
  if (options_.top_p >= 1.0) return;
  std::sort(candidates_.begin(), candidates_.end(), Likelier);
  double total = 0.0, kept = 0.0;
  for (const Candidate& candidate : candidates_) total += candidate.first;
  size_t count = 0;
  while (count < candidates_.size() && kept < options_.top_p * total) {
    kept += candidates_[count++].first;
  }
  candidates_.resize(std::max<size_t>(count, 1));
}

int64_t TokenSampler::Draw() {
  double total = 0.0;
  for (const Candidate& candidate : candidates_) total += candidate.first;
  // 53 bits of one draw: std::uniform_real_distribution differs between libraries.
  double left = static_cast<double>(random_() >> 11U) * 0x1p-53 * total;
  for (const Candidate& candidate : candidates_) {
    left -= candidate.first;
    if (left < 0.0) return candidate.second;
  }
  return candidates_.back().second;  // the sum's rounding
}

int64_t TokenSampler::Choose(absl::Span<const float> logits) {
  size_t best = 0;
  for (size_t id = 1; id < logits.size(); ++id) {
    if (OrImpossible(logits[id]) > OrImpossible(logits[best])) best = id;
  }
  const double largest = OrImpossible(logits[best]);
  if (options_.greedy() || !std::isfinite(largest)) return static_cast<int64_t>(best);
  KeepTopK(logits);
  for (Candidate& candidate : candidates_) {
    candidate.first = std::exp((candidate.first - largest) / options_.temperature);
  }
  KeepTopP();
  return Draw();
}

}  // namespace automot::model
