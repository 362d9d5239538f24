#include "common/context/context_layout.h"

#include <climits>
#include <functional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace automot::context {
namespace {

using Element = ContextLayout::ElementType;
using testing::HasSubstr;

ContextLayout Published(ContextLayout::Kind kind) {
  const bool compact = kind == ContextLayout::Kind::kCompact;
  return {.kind = kind,
          .element_type = Element::kBFloat16,
          .layers = 36,
          .tokens = 625,
          .kv_heads = compact ? 4 : 8,
          .k_head_dim = 128,
          .v_head_dim = compact ? 80 : 128};
}

// Spec fact 0.3: 92.2 MB full, 37.4 MB compact at 625 tokens in bfloat16.
TEST(ContextLayout, GivesTheBytesOfThePublishedModel) {
  EXPECT_EQ(Published(ContextLayout::Kind::kFull).payload_bytes(), 92'160'000U);
  EXPECT_EQ(Published(ContextLayout::Kind::kCompact).payload_bytes(), 37'440'000U);
}

TEST(ContextLayout, TensorsAreAlignedAndDoNotOverlap) {
  const ContextLayout odd{.element_type = Element::kBFloat16,
                          .layers = 3,
                          .tokens = 7,
                          .kv_heads = 3,
                          .k_head_dim = 5,
                          .v_head_dim = 3};
  ASSERT_TRUE(odd.Validate().ok());
  std::size_t end = 0;
  for (int layer = 0; layer < odd.layers; ++layer) {
    for (TensorKind tensor : {TensorKind::kKey, TensorKind::kValue}) {
      const std::size_t offset = odd.offset_bytes(layer, tensor);
      EXPECT_EQ(offset % kTensorAlignment, 0U);
      EXPECT_GE(offset, end);
      end = offset + odd.tensor_bytes(tensor);
    }
  }
  EXPECT_LE(end, odd.total_bytes());
  EXPECT_EQ(odd.key_bytes(), 7U * 3 * 5 * 2);
}

TEST(ContextLayout, RefusesEverySizeOutOfRangeByName) {
  struct Case {
    const char* name;
    int ContextLayout::* field;
  };
  const std::vector<Case> cases = {{"layers", &ContextLayout::layers},
                                   {"tokens", &ContextLayout::tokens},
                                   {"kv_heads", &ContextLayout::kv_heads},
                                   {"k_head_dim", &ContextLayout::k_head_dim},
                                   {"v_head_dim", &ContextLayout::v_head_dim}};
  for (const Case& c : cases) {
    for (int value : {0, -1, INT_MIN, 65537, INT_MAX}) {
      ContextLayout layout = Published(ContextLayout::Kind::kCompact);
      layout.*c.field = value;
      const absl::Status status = layout.Validate();
      EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
      EXPECT_THAT(std::string(status.message()), HasSubstr(c.name));
      EXPECT_THAT(std::string(status.message()), HasSubstr(std::to_string(value)));
    }
  }
}

TEST(ContextLayout, RefusesATotalBeyondTheLimitWithoutOverflow) {
  const ContextLayout layout{.element_type = Element::kFloat32,
                             .layers = 256,
                             .tokens = 65536,
                             .kv_heads = 256,
                             .k_head_dim = 1024,
                             .v_head_dim = 1024};
  const absl::Status status = layout.Validate();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("limit 4294967296"));
}

TEST(ContextLayout, RefusesUnknownEnumValues) {
  ContextLayout layout = Published(ContextLayout::Kind::kCompact);
  layout.kind = static_cast<ContextLayout::Kind>(7);
  EXPECT_FALSE(layout.Validate().ok());
  layout = Published(ContextLayout::Kind::kCompact);
  layout.element_type = static_cast<Element>(9);
  EXPECT_FALSE(layout.Validate().ok());
}

TEST(ContextLayout, DescribesItself) {
  EXPECT_EQ(Published(ContextLayout::Kind::kCompact).ToString(),
            "compact bfloat16 layers=36 tokens=625 kv_heads=4 k_head_dim=128 v_head_dim=80");
}

}  // namespace
}  // namespace automot::context
