// Our FP8 and INT8 against PyTorch's table, against the nearest code by search, and as whole
// layers.
#include "common/context/quantisation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>
#include <map>
#include <random>
#include <string>

namespace automot::context {
namespace {

using Element = ContextLayout::ElementType;
using ::testing::HasSubstr;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

ContextLayout Layout(Element type) {
  return {.element_type = type,
          .layers = 2,
          .tokens = 5,
          .kv_heads = 3,
          .k_head_dim = 16,
          .v_head_dim = 7};
}

float Get(const KvBuffer& buffer, int layer, TensorKind tensor, std::size_t index) {
  const std::byte* at = buffer.Tensor(layer, tensor).data();
  if (buffer.layout().element_type == Element::kFloat32) {
    float value = 0;
    std::memcpy(&value, at + 4 * index, 4);
    return value;
  }
  uint16_t bits = 0;
  std::memcpy(&bits, at + 2 * index, 2);
  return std::bit_cast<float>(uint32_t{bits} << 16U);
}

void Set(KvBuffer& buffer, int layer, TensorKind tensor, std::size_t index, float value) {
  std::byte* at = buffer.Tensor(layer, tensor).data();
  if (buffer.layout().element_type == Element::kFloat32) {
    std::memcpy(at + 4 * index, &value, 4);
    return;
  }
  const auto bits = static_cast<uint16_t>(std::bit_cast<uint32_t>(value) >> 16U);
  std::memcpy(at + 2 * index, &bits, 2);
}

std::size_t Elements(const ContextLayout& layout, TensorKind tensor) {
  return static_cast<std::size_t>(layout.tokens) * layout.kv_heads * layout.head_dim(tensor);
}

// Head h's values are about 10^h times those of head 0.
KvBuffer Native(Element type, float spread = 10.0F) {
  KvBuffer buffer = KvBuffer::Allocate(Layout(type)).value();
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  for (int layer = 0; layer < 2; ++layer) {
    for (TensorKind tensor : {TensorKind::kKey, TensorKind::kValue}) {
      const auto dim = static_cast<std::size_t>(buffer.layout().head_dim(tensor));
      for (std::size_t i = 0; i < Elements(buffer.layout(), tensor); ++i) {
        Set(buffer, layer, tensor, i,
            normal(random) * std::pow(spread, static_cast<float>(i / dim % 3)));
      }
    }
  }
  return buffer;
}

KvBuffer Quantised(const KvBuffer& native, Element type) {
  KvBuffer to = KvBuffer::Allocate(WithElementType(native.layout(), type)).value();
  for (int layer = 0; layer < native.layout().layers; ++layer) {
    EXPECT_TRUE(QuantiseLayer(native, layer, to).ok());
  }
  return to;
}

std::map<std::string, std::vector<std::pair<std::string, std::string>>> Golden() {
  std::ifstream file(AUTOMOT_SOURCE_DIR "/tests/golden/data/float8/e4m3.txt");
  std::map<std::string, std::vector<std::pair<std::string, std::string>>> lines;
  std::string kind, from, to;
  while (file >> kind >> from >> to) lines[kind].emplace_back(from, to);
  return lines;
}

uint32_t Hex(const std::string& text) {
  return static_cast<uint32_t>(std::stoul(text, nullptr, 16));
}

TEST(QuantisationTest, All256CodesDecodeAsPyTorchDecodesThem) {
  const auto lines = Golden()["decode"];
  ASSERT_EQ(lines.size(), 256U);
  for (const auto& [code, bits] : lines) {
    const float value = DecodeE4M3(static_cast<uint8_t>(Hex(code)));
    if (bits == "nan") {
      EXPECT_TRUE(std::isnan(value)) << code;
    } else {
      EXPECT_EQ(std::bit_cast<uint32_t>(value), Hex(bits)) << code;
    }
  }
}

TEST(QuantisationTest, EveryRoundingBoundaryEncodesAsPyTorchEncodesIt) {
  const auto lines = Golden()["encode"];
  ASSERT_GT(lines.size(), 900U);
  for (const auto& [bits, code] : lines) {
    EXPECT_EQ(EncodeE4M3(std::bit_cast<float>(Hex(bits))), Hex(code)) << bits;
  }
}

TEST(QuantisationTest, EveryCodeSurvivesTheWayThereAndBack) {
  for (int code = 0; code < 256; ++code) {
    const auto byte = static_cast<uint8_t>(code);
    EXPECT_EQ(EncodeE4M3(DecodeE4M3(byte)), byte) << code;
    if (code == 0x80) continue;  // -128 is no code of ours
    const auto integer = static_cast<int8_t>(byte);
    EXPECT_EQ(EncodeInt8(static_cast<float>(integer)), integer) << code;
  }
}

// Every bfloat16 there is: the nearest code by search, ties to the even one.
TEST(QuantisationTest, EveryBFloat16EncodesToTheNearestCode) {
  for (uint32_t upper = 0; upper < 0x10000; ++upper) {
    const float value = std::bit_cast<float>(upper << 16U);
    if (!std::isfinite(value)) continue;
    const double magnitude = std::min(std::fabs(static_cast<double>(value)), 448.0);
    int best = 0;
    for (int code = 1; code <= 0x7e; ++code) {
      const double distance = std::fabs(DecodeE4M3(static_cast<uint8_t>(code)) - magnitude);
      const double least = std::fabs(DecodeE4M3(static_cast<uint8_t>(best)) - magnitude);
      if (distance < least || (distance == least && code % 2 == 0)) best = code;
    }
    const int sign = std::signbit(value) ? 0x80 : 0;
    ASSERT_EQ(EncodeE4M3(value), best | sign) << value;
  }
}

TEST(QuantisationTest, EncodersSaturateAndKeepNaNApart) {
  EXPECT_EQ(EncodeE4M3(449.0F), 0x7e);
  EXPECT_EQ(EncodeE4M3(-1e30F), 0xfe);
  EXPECT_EQ(EncodeE4M3(kInfinity), 0x7e);
  EXPECT_EQ(EncodeE4M3(std::nanf("")) & 0x7f, 0x7f);
  EXPECT_EQ(EncodeInt8(127.6F), 127);
  EXPECT_EQ(EncodeInt8(-1e30F), -127);
  EXPECT_EQ(EncodeInt8(2.5F), 2);
  EXPECT_EQ(EncodeInt8(3.5F), 4);
  EXPECT_EQ(EncodeInt8(-2.5F), -2);
}

TEST(QuantisationTest, ALayerComesBackWithinHalfAStepOfItsHead) {
  for (const Element native : {Element::kFloat32, Element::kBFloat16}) {
    const KvBuffer from = Native(native);
    for (const Element type : {Element::kFloat8E4M3, Element::kInt8}) {
      const KvBuffer codes = Quantised(from, type);
      KvBuffer back = KvBuffer::Allocate(from.layout()).value();
      ASSERT_TRUE(Dequantise(codes, back).ok());
      for (int layer = 0; layer < 2; ++layer) {
        for (TensorKind tensor : {TensorKind::kKey, TensorKind::kValue}) {
          const auto dim = static_cast<std::size_t>(from.layout().head_dim(tensor));
          std::vector<float> largest(3, 0.0F);
          for (std::size_t i = 0; i < Elements(from.layout(), tensor); ++i) {
            float& most = largest[i / dim % 3];
            most = std::max(most, std::fabs(Get(from, layer, tensor, i)));
          }
          for (std::size_t i = 0; i < Elements(from.layout(), tensor); ++i) {
            const float value = Get(from, layer, tensor, i);
            const float error = std::fabs(Get(back, layer, tensor, i) - value);
            // bfloat16 rounds once more where the codes are integers.
            const float rounding =
                native == Element::kBFloat16 ? std::fabs(value) / 128.0F : std::fabs(value) * 1e-6F;
            const float step = type == Element::kInt8
                                   ? largest[i / dim % 3] / 254.0F
                                   : std::max(std::fabs(value) / 16.0F,
                                              largest[i / dim % 3] * 2.0F / 448.0F / 1024.0F);
            ASSERT_LE(error, 1.0001F * step + rounding) << layer << " " << i << " " << value;
          }
        }
      }
    }
  }
}

TEST(QuantisationTest, AValueThatIsNotFiniteIsRefusedByItsPlace) {
  for (const float bad : {std::nanf(""), kInfinity, -kInfinity}) {
    for (const Element native : {Element::kFloat32, Element::kBFloat16}) {
      KvBuffer from = Native(native);
      Set(from, 1, TensorKind::kValue, 7 * 4 + 3, bad);  // token 1, head 1
      KvBuffer to = KvBuffer::Allocate(WithElementType(from.layout(), Element::kInt8)).value();
      EXPECT_TRUE(QuantiseLayer(from, 0, to).ok());
      const absl::Status status = QuantiseLayer(from, 1, to);
      EXPECT_EQ(status.code(), absl::StatusCode::kOutOfRange);
      EXPECT_THAT(std::string(status.message()), HasSubstr("values of layer 1, head 1"));
    }
  }
}

TEST(QuantisationTest, CodesAndScalesThatNoEncoderWritesAreDataLoss) {
  const KvBuffer from = Native(Element::kFloat32);
  KvBuffer back = KvBuffer::Allocate(from.layout()).value();
  for (const Element type : {Element::kFloat8E4M3, Element::kInt8}) {
    KvBuffer codes = Quantised(from, type);
    ASSERT_TRUE(Dequantise(codes, back).ok());
    std::byte& code = codes.Tensor(1, TensorKind::kKey)[16 * 3 + 20];
    const std::byte before = code;
    code = type == Element::kInt8 ? std::byte{0x80} : std::byte{0xff};
    const absl::Status status = Dequantise(codes, back);
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
    EXPECT_THAT(std::string(status.message()), HasSubstr("keys of layer 1, head 1, token 1"));
    code = before;
    for (const float bad : {0.0F, -1.0F, kInfinity, std::nanf("")}) {
      std::byte* const scale = codes.Tensor(0, TensorKind::kValue).data() +
                               codes.layout().scales_offset(TensorKind::kValue) + 4;
      float kept = 0;
      std::memcpy(&kept, scale, 4);
      std::memcpy(scale, &bad, 4);
      EXPECT_EQ(Dequantise(codes, back).code(), absl::StatusCode::kDataLoss) << bad;
      std::memcpy(scale, &kept, 4);
    }
    ASSERT_TRUE(Dequantise(codes, back).ok());
  }
}

// What lets an unchanged token keep its bytes whatever the later ones say.
TEST(QuantisationTest, E4M3CodesOfATokenDoNotChangeWithLaterTokensOfTheSameBinade) {
  KvBuffer first = Native(Element::kBFloat16);
  const KvBuffer codes = Quantised(first, Element::kFloat8E4M3);
  const std::size_t row = first.layout().row_bytes(TensorKind::kKey) / 2;
  Set(first, 0, TensorKind::kKey, 4 * row + 1, 0.25F);
  const KvBuffer changed = Quantised(first, Element::kFloat8E4M3);
  EXPECT_EQ(std::memcmp(codes.Tensor(0, TensorKind::kKey).data(),
                        changed.Tensor(0, TensorKind::kKey).data(), 4 * row),
            0);
}

TEST(QuantisationTest, ZerosAndTheSmallestValuesStayFinite) {
  KvBuffer from = KvBuffer::Allocate(Layout(Element::kFloat32)).value();
  Set(from, 0, TensorKind::kKey, 0, std::numeric_limits<float>::denorm_min());
  Set(from, 0, TensorKind::kValue, 0, std::numeric_limits<float>::max());
  for (const Element type : {Element::kFloat8E4M3, Element::kInt8}) {
    KvBuffer back = KvBuffer::Allocate(from.layout()).value();
    ASSERT_TRUE(Dequantise(Quantised(from, type), back).ok());
    EXPECT_EQ(Get(back, 1, TensorKind::kKey, 3), 0.0F);
    EXPECT_NEAR(Get(back, 0, TensorKind::kValue, 0) / std::numeric_limits<float>::max(), 1.0F,
                0.07F);
  }
}

TEST(QuantisationTest, LayoutsThatDoNotFitAreRefused) {
  const KvBuffer from = Native(Element::kFloat32);
  ContextLayout other = WithElementType(from.layout(), Element::kInt8);
  other.tokens += 1;
  KvBuffer to = KvBuffer::Allocate(other).value();
  EXPECT_EQ(QuantiseLayer(from, 0, to).code(), absl::StatusCode::kInvalidArgument);
  KvBuffer same = KvBuffer::Allocate(from.layout()).value();
  EXPECT_EQ(QuantiseLayer(from, 0, same).code(), absl::StatusCode::kInvalidArgument);
  KvBuffer codes = Quantised(from, Element::kInt8);
  EXPECT_EQ(QuantiseLayer(from, 2, codes).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Dequantise(from, same).code(), absl::StatusCode::kInvalidArgument);
}

TEST(QuantisationTest, TheLayoutCountsCodesPaddingAndScales) {
  const ContextLayout layout = Layout(Element::kInt8);
  EXPECT_TRUE(layout.Validate().ok());
  EXPECT_EQ(layout.scales_offset(TensorKind::kKey), 256U);    // 240 codes
  EXPECT_EQ(layout.scales_offset(TensorKind::kValue), 128U);  // 105 codes
  EXPECT_EQ(layout.key_bytes(), 256U + 12);
  EXPECT_EQ(layout.payload_bytes(), 2U * (256 + 12 + 128 + 12));
}

}  // namespace
}  // namespace automot::context
