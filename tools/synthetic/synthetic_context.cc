#include "tools/synthetic/synthetic_context.h"

#include <algorithm>
#include <cstring>

namespace automot::synthetic {
namespace {

using context::TensorKind;

constexpr std::size_t kLayerBytesPerToken = 2 * 4 * 16 * sizeof(float);  // K and V

}  // namespace

context::ContextLayout SyntheticLayout(std::size_t bytes) {
  context::ContextLayout layout{.layers = 2, .kv_heads = 4, .k_head_dim = 16, .v_head_dim = 16};
  const std::size_t tokens = bytes / (2 * kLayerBytesPerToken);
  layout.tokens =
      static_cast<int>(std::clamp<std::size_t>(tokens, 16, context::ContextLayout::kMaxTokens));
  return layout;
}

ContextFacts FactsOf(const SnapshotId& id, std::string_view name,
                     const context::SlowObservation& observation) {
  const CameraFrame& newest = *observation.frames.back();
  return {.session = ChecksumOf(name),
          .version = id.version,
          .capture_time_us = newest.capture_time_us,
          .frame = ChecksumOf(newest.image.get()),
          .speed_mps = observation.ego.speed_mps,
          .current_target = observation.target.current,
          .next_target = observation.target.next,
          .episode = id.episode};
}

void WriteFacts(const ContextFacts& facts, context::KvBuffer& keys_values) {
  const int last = keys_values.layout().layers - 1;
  std::memcpy(keys_values.Tensor(0, TensorKind::kKey).data(), &facts, sizeof(facts));
  std::memcpy(keys_values.Tensor(last, TensorKind::kValue).data(), &facts, sizeof(facts));
}

absl::StatusOr<ContextFacts> ReadFacts(const context::KvBuffer& keys_values) {
  const int last = keys_values.layout().layers - 1;
  ContextFacts first, second;
  std::memcpy(&first, keys_values.Tensor(0, TensorKind::kKey).data(), sizeof(first));
  std::memcpy(&second, keys_values.Tensor(last, TensorKind::kValue).data(), sizeof(second));
  if (first == second) return first;
  return absl::DataLossError("the context's first and last tensor are of different snapshots");
}

}  // namespace automot::synthetic
