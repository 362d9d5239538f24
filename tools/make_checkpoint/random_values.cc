#include "tools/make_checkpoint/random_values.h"

#include <xxhash.h>

#include <bit>
#include <cmath>
#include <cstring>

namespace automot::model {
namespace {

// Sum of four 16-bit uniform numbers less its mean: close to normal, mean 0, deviation 65536 /
// sqrt(3), within 3.5 of it.
constexpr int64_t kSumMean = 4 * 65535 / 2;
constexpr double kSumToUnit = 1.7320508075688772 / 65536.0;

int64_t CentredSum(std::mt19937_64& generator) {
  const uint64_t bits = generator();
  return static_cast<int64_t>((bits & 0xFFFF) + ((bits >> 16) & 0xFFFF) + ((bits >> 32) & 0xFFFF) +
                              (bits >> 48)) -
         kSumMean;
}

uint16_t RoundToBf16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  return static_cast<uint16_t>((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
}

template <typename Draw>
void FillWith(DType dtype, absl::Span<std::byte> bytes, const Draw& draw) {
  const size_t size = DTypeSize(dtype);
  for (size_t at = 0; at < bytes.size(); at += size) {
    const float value = draw();
    if (dtype == DType::kBF16) {
      const uint16_t rounded = RoundToBf16(value);
      std::memcpy(&bytes[at], &rounded, sizeof(rounded));
    } else {
      std::memcpy(&bytes[at], &value, sizeof(value));
    }
  }
}

// Deviation that keeps the scale of activations: 1 / sqrt(inputs of one output value).
double Deviation(const ExpectedTensor& tensor) {
  if (tensor.role == TensorRole::kBias) return 0.02;
  if (tensor.name.ends_with("_queries.weight")) return 1.0;
  int64_t inputs = 1;
  for (size_t axis = 1; axis < tensor.shape.size(); ++axis) inputs *= tensor.shape[axis];
  if (tensor.role == TensorRole::kEmbedding) inputs = tensor.shape.back();
  return 1.0 / std::sqrt(static_cast<double>(inputs));
}

}  // namespace

RandomValues::RandomValues(const ExpectedTensor& tensor, DType dtype, uint64_t seed)
    : role_(tensor.role),
      dtype_(dtype),
      scale_(Deviation(tensor) * kSumToUnit),
      generator_(XXH3_64bits_withSeed(tensor.name.data(), tensor.name.size(), seed)) {}

double RandomValues::NormWeight() {
  constexpr int64_t kOne = int64_t{1} << 20;  // deviation 0.036 about 1
  return static_cast<double>(kOne + CentredSum(generator_)) / static_cast<double>(kOne);
}

double RandomValues::Scaled() { return static_cast<double>(CentredSum(generator_)) * scale_; }

void RandomValues::Fill(absl::Span<std::byte> bytes) {
  switch (role_) {
    case TensorRole::kCounter:
      std::memset(bytes.data(), 0, bytes.size());
      return;
    case TensorRole::kRunningMean:
      return FillWith(dtype_, bytes, [] { return 0.0F; });
    case TensorRole::kRunningVar:
      return FillWith(dtype_, bytes, [] { return 1.0F; });
    case TensorRole::kNormWeight:
      return FillWith(dtype_, bytes, [this] { return static_cast<float>(NormWeight()); });
    default:
      return FillWith(dtype_, bytes, [this] { return static_cast<float>(Scaled()); });
  }
}

}  // namespace automot::model
