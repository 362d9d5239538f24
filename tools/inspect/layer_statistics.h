// What keys or values of one layer look like as numbers. Pure.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "common/context/kv_buffer.h"

namespace automot::tools {

// Over the finite values; `not_finite` counts the others.
struct TensorStatistics {
  double min = 0.0, max = 0.0, mean = 0.0, rms = 0.0;
  uint64_t values = 0, not_finite = 0;
};

// Of a quantised buffer: its codes times their scales, as float32.
absl::StatusOr<context::KvBuffer> Dequantised(const context::KvBuffer& kv);

// Requires a buffer that is not quantised.
TensorStatistics StatisticsOf(const context::KvBuffer& kv, int layer, context::TensorKind tensor);

}  // namespace automot::tools
