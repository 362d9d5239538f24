#include "common/context/quantisation.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"

namespace automot::context {
namespace {

using ElementType = ContextLayout::ElementType;

constexpr float kSmallestScale = 0x1p-100F;  // its inverse is finite too

// Largest finite bfloat16: what rounding up would take beyond it stays there.
constexpr float kLargest = 0x1.FEp127F;

struct Place {
  int layer;
  TensorKind tensor;
  int head;
};

std::string Describe(const Place& place) {
  return absl::StrCat(place.tensor == TensorKind::kKey ? "keys" : "values", " of layer ",
                      place.layer, ", head ", place.head);
}

float BFloat16ToFloat(uint16_t bits) { return std::bit_cast<float>(uint32_t{bits} << 16U); }

// Nearest, ties to even. Requires a finite value.
uint16_t FloatToBFloat16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  return static_cast<uint16_t>((bits + 0x7fffU + ((bits >> 16U) & 1U)) >> 16U);
}

// One head of one token as floats.
void Load(const std::byte* from, ElementType type, std::span<float> to) {
  if (type == ElementType::kFloat32) {
    std::memcpy(to.data(), from, to.size_bytes());
    return;
  }
  for (std::size_t i = 0; i < to.size(); ++i) {
    uint16_t bits = 0;
    std::memcpy(&bits, from + 2 * i, sizeof(bits));
    to[i] = BFloat16ToFloat(bits);
  }
}

// Largest magnitude, or NaN where any value is not finite.
float Magnitude(std::span<const float> values, float largest) {
  uint32_t bits = std::bit_cast<uint32_t>(largest);
  // Magnitudes order like their bits; infinities and NaNs lie above every finite one.
  for (const float value : values) {
    bits = std::max(bits, std::bit_cast<uint32_t>(value) & 0x7fffffffU);
  }
  return std::bit_cast<float>(bits);
}

float ScaleFor(float magnitude, ElementType type) {
  if (magnitude == 0.0F) return 1.0F;
  if (type == ElementType::kInt8) return std::max(magnitude / kInt8Max, kSmallestScale);
  int exponent = 0;
  std::frexp(magnitude / kE4M3Max, &exponent);  // ratio is in [2^(e-1), 2^e)
  const float scale = std::ldexp(1.0F, exponent);
  // A ratio that is a power of two itself needs no more than that.
  const float exact = magnitude <= 0.5F * scale * kE4M3Max ? 0.5F * scale : scale;
  return std::max(exact, kSmallestScale);
}

// The decoded values of all codes.
const std::array<float, 256>& DecodeTable(ElementType type) {
  static const auto* const tables = [] {
    auto* made = new std::array<std::array<float, 256>, 2>();
    for (int code = 0; code < 256; ++code) {
      (*made)[0][code] = DecodeE4M3(static_cast<uint8_t>(code));
      (*made)[1][code] = static_cast<float>(static_cast<int8_t>(static_cast<uint8_t>(code)));
    }
    // No encoder writes -128.
    (*made)[1][0x80] = std::numeric_limits<float>::quiet_NaN();
    return made;
  }();
  return (*tables)[type == ElementType::kInt8 ? 1 : 0];
}

absl::Status CheckShapes(const ContextLayout& native, const ContextLayout& quantised) {
  if (!native.quantised() && quantised.quantised() &&
      WithElementType(native, quantised.element_type) == quantised) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat("layouts (", native.ToString(), ") and (",
                                                 quantised.ToString(),
                                                 ") are no context and its quantised form"));
}

// Per head, the largest magnitude of a tensor. OUT_OF_RANGE where it is not finite.
absl::Status Magnitudes(const KvBuffer& from, int layer, TensorKind tensor,
                        std::vector<float>* magnitudes) {
  const ContextLayout& layout = from.layout();
  const auto dim = static_cast<std::size_t>(layout.head_dim(tensor));
  std::vector<float> row(dim);
  magnitudes->assign(static_cast<std::size_t>(layout.kv_heads), 0.0F);
  const std::byte* at = from.Tensor(layer, tensor).data();
  for (int token = 0; token < layout.tokens; ++token) {
    for (float& largest : *magnitudes) {
      Load(at, layout.element_type, row);
      largest = Magnitude(row, largest);
      at += dim * layout.element_bytes();
    }
  }
  for (int head = 0; head < layout.kv_heads; ++head) {
    if (std::isfinite((*magnitudes)[static_cast<std::size_t>(head)])) continue;
    return absl::OutOfRangeError(absl::StrCat(Describe({layer, tensor, head}),
                                              ": a value is not finite and has no quantised form"));
  }
  return absl::OkStatus();
}

void EncodeRow(std::span<const float> row, float inverse, ElementType type, std::byte* to) {
  if (type == ElementType::kInt8) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      to[i] = static_cast<std::byte>(EncodeInt8(row[i] * inverse));
    }
    return;
  }
  for (std::size_t i = 0; i < row.size(); ++i) {
    to[i] = static_cast<std::byte>(EncodeE4M3(row[i] * inverse));
  }
}

absl::Status QuantiseTensor(const KvBuffer& from, int layer, TensorKind tensor, KvBuffer& to) {
  const ContextLayout& source = from.layout();
  const ContextLayout& target = to.layout();
  const auto dim = static_cast<std::size_t>(source.head_dim(tensor));
  std::vector<float> scales;
  AUTOMOT_RETURN_IF_ERROR(Magnitudes(from, layer, tensor, &scales));
  for (float& scale : scales) scale = ScaleFor(scale, target.element_type);
  std::vector<float> row(dim);
  const std::byte* in = from.Tensor(layer, tensor).data();
  const std::span<std::byte> out = to.Tensor(layer, tensor);
  std::byte* codes = out.data();
  for (int token = 0; token < source.tokens; ++token) {
    for (const float scale : scales) {
      Load(in, source.element_type, row);
      EncodeRow(row, 1.0F / scale, target.element_type, codes);
      in += dim * source.element_bytes();
      codes += dim;
    }
  }
  std::byte* const scales_at = out.data() + target.scales_offset(tensor);
  std::fill(codes, scales_at, std::byte{0});
  std::memcpy(scales_at, scales.data(), scales.size() * sizeof(float));
  return absl::OkStatus();
}

// One head of one token; false where a code stands for no number.
bool DecodeRow(const std::byte* codes, const std::array<float, 256>& table, float scale,
               ElementType type, std::size_t dim, std::byte* to) {
  bool finite = true;
  for (std::size_t i = 0; i < dim; ++i) {
    const float value =
        std::clamp(table[static_cast<uint8_t>(codes[i])] * scale, -kLargest, kLargest);
    finite = finite && std::isfinite(value);
    if (type == ElementType::kFloat32) {
      std::memcpy(to + 4 * i, &value, sizeof(value));
    } else {
      const uint16_t bits = finite ? FloatToBFloat16(value) : uint16_t{0};
      std::memcpy(to + 2 * i, &bits, sizeof(bits));
    }
  }
  return finite;
}

absl::Status DequantiseTensor(const KvBuffer& from, int layer, TensorKind tensor, KvBuffer& to) {
  const ContextLayout& source = from.layout();
  const ContextLayout& target = to.layout();
  const std::array<float, 256>& table = DecodeTable(source.element_type);
  const auto dim = static_cast<std::size_t>(source.head_dim(tensor));
  const std::span<const std::byte> in = from.Tensor(layer, tensor);
  std::vector<float> scales(static_cast<std::size_t>(source.kv_heads));
  std::memcpy(scales.data(), in.data() + source.scales_offset(tensor),
              scales.size() * sizeof(float));
  const std::byte* codes = in.data();
  std::byte* out = to.Tensor(layer, tensor).data();
  for (int token = 0; token < source.tokens; ++token) {
    for (int head = 0; head < source.kv_heads; ++head) {
      const float scale = scales[static_cast<std::size_t>(head)];
      if (!(scale > 0.0F) || !std::isfinite(scale) ||
          !DecodeRow(codes, table, scale, target.element_type, dim, out)) {
        return absl::DataLossError(absl::StrCat(Describe({layer, tensor, head}), ", token ", token,
                                                ": the scale ", scale,
                                                " or a code stands for no finite number"));
      }
      codes += dim;
      out += dim * target.element_bytes();
    }
  }
  return absl::OkStatus();
}

}  // namespace

uint8_t EncodeE4M3(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const auto sign = static_cast<uint8_t>(bits >> 24U & 0x80U);
  const float magnitude = std::bit_cast<float>(bits & 0x7fffffffU);
  if (std::isnan(value)) return sign | 0x7fU;
  if (magnitude >= kE4M3Max) return sign | 0x7eU;
  if (magnitude < 0x1p-6F) {
    // Subnormal: multiples of 2^-9, which is the last place of 2^14. The addition rounds.
    const float shifted = magnitude + 0x1p14F;
    return sign | static_cast<uint8_t>(std::bit_cast<uint32_t>(shifted) & 0xffU);
  }
  const uint32_t wide = std::bit_cast<uint32_t>(magnitude);
  const uint32_t rounded = wide + 0x7ffffU + (wide >> 20U & 1U);
  return sign | static_cast<uint8_t>((rounded >> 20U) - (120U << 3U));
}

float DecodeE4M3(uint8_t code) {
  const int exponent = code >> 3U & 0xfU;
  const int mantissa = code & 0x7U;
  const float sign = (code & 0x80U) != 0 ? -1.0F : 1.0F;
  if (exponent == 15 && mantissa == 7) {
    return std::copysign(std::numeric_limits<float>::quiet_NaN(), sign);
  }
  if (exponent == 0) return sign * std::ldexp(static_cast<float>(mantissa), -9);
  return sign * std::ldexp(static_cast<float>(8 + mantissa), exponent - 10);
}

int8_t EncodeInt8(float value) {
  const float clamped = std::clamp(value, -kInt8Max, kInt8Max);
  // 1.5 * 2^23: its last place is 1, and the addition rounds.
  constexpr float kShift = 0x1.8p23F;
  return static_cast<int8_t>(static_cast<int32_t>((clamped + kShift) - kShift));
}

ContextLayout WithElementType(const ContextLayout& native, ElementType type) {
  ContextLayout layout = native;
  layout.element_type = type;
  return layout;
}

absl::Status QuantiseLayer(const KvBuffer& from, int layer, KvBuffer& to) {
  AUTOMOT_RETURN_IF_ERROR(CheckShapes(from.layout(), to.layout()));
  if (layer < 0 || layer >= from.layout().layers) {
    return absl::InvalidArgumentError(
        absl::StrCat("layer is ", layer, "; the context has ", from.layout().layers));
  }
  AUTOMOT_RETURN_IF_ERROR(QuantiseTensor(from, layer, TensorKind::kKey, to));
  return QuantiseTensor(from, layer, TensorKind::kValue, to);
}

absl::Status Dequantise(const KvBuffer& from, KvBuffer& to) {
  AUTOMOT_RETURN_IF_ERROR(CheckShapes(to.layout(), from.layout()));
  for (int layer = 0; layer < from.layout().layers; ++layer) {
    AUTOMOT_RETURN_IF_ERROR(DequantiseTensor(from, layer, TensorKind::kKey, to));
    AUTOMOT_RETURN_IF_ERROR(DequantiseTensor(from, layer, TensorKind::kValue, to));
  }
  return absl::OkStatus();
}

}  // namespace automot::context
