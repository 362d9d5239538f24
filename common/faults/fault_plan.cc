#include "common/faults/fault_plan.h"

#include <array>
#include <iterator>
#include <random>
#include <utility>

#include "common/faults/fault_actions.h"

namespace automot::faults {
namespace {

constexpr std::array<const char*, kFaultKindCount> kNames = {
    "none",        "drop",     "delay",       "duplicate",
    "reorder",     "truncate", "flip_bits",   "corrupt_metadata",
    "swap_layers", "replay",   "stale_epoch", "stop_at_byte"};

}  // namespace

const char* ToString(FaultKind kind) {
  const auto index = static_cast<std::size_t>(kind);
  return index < kNames.size() ? kNames.at(index) : "unknown";
}

FaultPlan FaultPlan::FromSeed(uint64_t seed) {
  FaultPlan plan;
  plan.seed_ = seed;
  Random random(seed);
  const std::size_t faults = 1 + Below(random, 3);
  for (std::size_t i = 0; i < faults; ++i) {
    plan.kinds_.push_back(static_cast<FaultKind>(Below(random, kFaultKindCount)));
  }
  return plan;
}

FaultPlan FaultPlan::Of(FaultKind kind, uint64_t seed) {
  FaultPlan plan;
  plan.seed_ = seed;
  plan.kinds_.push_back(kind);
  return plan;
}

FaultedMessages FaultPlan::Inject(std::vector<WireMessage> messages) const {
  Random random(seed_ ^ 0x9E3779B97F4A7C15ULL);  // apart from the draw of the kinds
  FaultedMessages faulted{.messages = std::move(messages)};
  for (const FaultKind kind : kinds_) {
    if (faulted.messages.empty()) break;
    if (InjectOne(kind, random, faulted)) faulted.injected.push_back(kind);
  }
  if (faulted.killed) faulted.late.clear();
  return faulted;
}

std::vector<WireMessage> FaultPlan::Apply(std::vector<WireMessage> messages) const {
  FaultedMessages faulted = Inject(std::move(messages));
  std::move(faulted.late.begin(), faulted.late.end(), std::back_inserter(faulted.messages));
  return std::move(faulted.messages);
}

std::string FaultPlan::ToString() const {
  std::string text = "seed=" + std::to_string(seed_);
  for (FaultKind kind : kinds_) {
    text += text.find(' ') == std::string::npos ? " " : ",";
    text += faults::ToString(kind);
  }
  return text;
}

}  // namespace automot::faults
