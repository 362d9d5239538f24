#include "tools/inspect/layer_statistics.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <span>

#include "common/context/quantisation.h"
#include "common/status/status_macros.h"

namespace automot::tools {
namespace {

using context::ContextLayout;

float ValueAt(std::span<const std::byte> bytes, size_t index, ContextLayout::ElementType type) {
  if (type == ContextLayout::ElementType::kFloat32) {
    float value = 0.0F;
    std::memcpy(&value, bytes.data() + index * sizeof(value), sizeof(value));
    return value;
  }
  uint16_t bits = 0;  // bfloat16: the upper half of a float
  std::memcpy(&bits, bytes.data() + index * sizeof(bits), sizeof(bits));
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

}  // namespace

absl::StatusOr<context::KvBuffer> Dequantised(const context::KvBuffer& kv) {
  AUTOMOT_ASSIGN_OR_RETURN(context::KvBuffer plain,
                           context::KvBuffer::Allocate(context::WithElementType(
                               kv.layout(), ContextLayout::ElementType::kFloat32)));
  AUTOMOT_RETURN_IF_ERROR(context::Dequantise(kv, plain));
  return plain;
}

TensorStatistics StatisticsOf(const context::KvBuffer& kv, int layer, context::TensorKind tensor) {
  const auto bytes = kv.Tensor(layer, tensor);
  const ContextLayout::ElementType type = kv.layout().element_type;
  TensorStatistics statistics;
  double sum = 0.0;
  double squares = 0.0;
  uint64_t finite = 0;
  statistics.values = bytes.size() / kv.layout().element_bytes();
  for (size_t i = 0; i < statistics.values; ++i) {
    const double value = ValueAt(bytes, i, type);
    if (!std::isfinite(value)) continue;
    statistics.min = finite == 0 ? value : std::min(statistics.min, value);
    statistics.max = finite == 0 ? value : std::max(statistics.max, value);
    sum += value;
    squares += value * value;
    ++finite;
  }
  statistics.not_finite = statistics.values - finite;
  if (finite == 0) return statistics;
  statistics.mean = sum / static_cast<double>(finite);
  statistics.rms = std::sqrt(squares / static_cast<double>(finite));
  return statistics;
}

}  // namespace automot::tools
