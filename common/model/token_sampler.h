// Chooses the next token of a text from its logits. Torch-free.
#pragma once

#include <cstdint>
#include <random>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"

namespace automot::model {

// Applied in this order. Equal options and logits give equal tokens on every machine.
struct SamplingOptions {
  double temperature = 0.0;  // [0, 100]; 0: greedy, and nothing below matters
  int64_t top_k = 0;         // only the k likeliest, with what ties with the last; 0: all
  double top_p = 1.0;        // (0, 1]: of those, the fewest whose probability reaches p
  uint64_t seed = 0;

  bool greedy() const { return temperature == 0.0; }
};

// INVALID_ARGUMENT naming field, value and limit.
absl::Status ValidateSampling(const SamplingOptions& options);

// Not thread-safe: draws from one generator of random numbers.
class TokenSampler {
 public:
  // `options` must be valid.
  explicit TokenSampler(const SamplingOptions& options)
      : options_(options), random_(options.seed) {}

  // logits: `[vocab]`, not empty. NaN counts as impossible. Greedy: the first of the largest.
  int64_t Choose(absl::Span<const float> logits);

 private:
  using Candidate = std::pair<double, int64_t>;  // logit, then probability; token

  void KeepTopK(absl::Span<const float> logits);
  void KeepTopP();
  int64_t Draw();

  SamplingOptions options_;
  std::mt19937_64 random_;
  std::vector<Candidate> candidates_;
};

}  // namespace automot::model
