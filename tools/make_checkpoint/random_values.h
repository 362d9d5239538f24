// Initial values of a tensor, the same on every machine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>

#include "absl/types/span.h"
#include "common/checkpoint/layout.h"
#include "common/checkpoint/safetensors.h"

namespace automot::model {

// The values of one tensor, front to back. The generator is seeded by `seed` and the tensor's name,
// so that a tensor's values do not depend on the others. Integer arithmetic, one exact conversion
// and one rounding: no mathematical library whose last bit differs between machines takes part.
// Not thread-safe.
class RandomValues {
 public:
  // dtype: F32 or BF16; counters ignore it.
  RandomValues(const ExpectedTensor& tensor, DType dtype, uint64_t seed);

  // The next values; `bytes` holds a whole number of them.
  void Fill(absl::Span<std::byte> bytes);

 private:
  double NormWeight();
  double Scaled();

  const TensorRole role_;
  const DType dtype_;
  const double scale_;
  std::mt19937_64 generator_;
};

}  // namespace automot::model
