#include "tools/loadgen/tally.h"

#include <numeric>

namespace automot::loadgen {
namespace {

void MergeCounts(std::map<std::string, uint64_t>& to, const std::map<std::string, uint64_t>& from) {
  for (const auto& [name, count] : from) to[name] += count;
}

}  // namespace

std::string_view ToString(Outcome outcome) {
  static constexpr std::array<std::string_view, kOutcomes> kNames = {
      "on_time", "late", "refused", "failed", "cancelled", "unsent"};
  return kNames.at(static_cast<std::size_t>(outcome));
}

uint64_t Tally::intended() const {
  return std::accumulate(outcomes.begin(), outcomes.end(), uint64_t{0});
}

void Tally::Merge(const Tally& other) {
  for (std::size_t i = 0; i < outcomes.size(); ++i) outcomes[i] += other.outcomes[i];
  warm_up += other.warm_up;
  proven += other.proven;
  unproven += other.unproven;
  wrong += other.wrong;
  MergeCounts(wrong_fields, other.wrong_fields);
  MergeCounts(reasons, other.reasons);
  MergeCounts(failures, other.failures);
  MergeCounts(acts, other.acts);
  if (wrong_example.empty()) wrong_example = other.wrong_example;
  from_intended.Merge(other.from_intended);
  from_sent.Merge(other.from_sent);
  server_queue.Merge(other.server_queue);
  refusal.Merge(other.refusal);
  retry_after.Merge(other.retry_after);
  staleness.Merge(other.staleness);
}

}  // namespace automot::loadgen
