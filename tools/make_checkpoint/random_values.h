// Initial values of a tensor, the same on every machine.
#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"
#include "common/checkpoint/layout.h"
#include "common/checkpoint/safetensors.h"

namespace automot::model {

// Fills `bytes` (the tensor's size in `dtype`, F32 or BF16; counters ignore it) from a generator
// seeded by `seed` and the tensor's name, so that a tensor's values do not depend on the others.
// Integer arithmetic, one exact conversion and one rounding: no mathematical library whose last bit
// differs between machines takes part.
void FillRandom(const ExpectedTensor& tensor, DType dtype, uint64_t seed,
                absl::Span<std::byte> bytes);

}  // namespace automot::model
