#include "common/context/context_layout.h"

#include <array>

#include "absl/strings/str_cat.h"

namespace automot::context {
namespace {

struct Dimension {
  const char* name;
  int value;
  int limit;
};

absl::Status CheckDimension(const Dimension& dimension) {
  if (dimension.value >= 1 && dimension.value <= dimension.limit) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("layout.", dimension.name, " is ", dimension.value,
                                                 ", must be in [1, ", dimension.limit, "]"));
}

}  // namespace

absl::Status ContextLayout::Validate() const {
  if (kind != Kind::kFull && kind != Kind::kCompact) {
    return absl::InvalidArgumentError(absl::StrCat("layout.kind is ", static_cast<int>(kind),
                                                   ", must be 0 (full) or 1 (compact)"));
  }
  if (element_type > ElementType::kInt8) {
    return absl::InvalidArgumentError(
        absl::StrCat("layout.element_type is ", static_cast<int>(element_type),
                     ", must be 0 (float32), 1 (bfloat16), 2 (float8_e4m3) or 3 (int8)"));
  }
  const std::array<Dimension, 5> dimensions = {{{"layers", layers, kMaxLayers},
                                                {"tokens", tokens, kMaxTokens},
                                                {"kv_heads", kv_heads, kMaxKvHeads},
                                                {"k_head_dim", k_head_dim, kMaxHeadDim},
                                                {"v_head_dim", v_head_dim, kMaxHeadDim}}};
  for (const Dimension& dimension : dimensions) {
    if (absl::Status status = CheckDimension(dimension); !status.ok()) return status;
  }
  // Within the limits above the total is at most 2^8 * 2 * 2^16 * 2^8 * 2^10 * 2^2 = 2^45 bytes.
  if (total_bytes() > kMaxTotalBytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        "layout (", ToString(), ") needs ", total_bytes(), " bytes, limit ", kMaxTotalBytes));
  }
  return absl::OkStatus();
}

std::string ContextLayout::ToString() const {
  return absl::StrCat(context::ToString(kind), " ", context::ToString(element_type),
                      " layers=", layers, " tokens=", tokens, " kv_heads=", kv_heads,
                      " k_head_dim=", k_head_dim, " v_head_dim=", v_head_dim);
}

const char* ToString(ContextLayout::Kind kind) {
  return kind == ContextLayout::Kind::kFull ? "full" : "compact";
}

const char* ToString(ContextLayout::ElementType type) {
  switch (type) {
    case ContextLayout::ElementType::kFloat32:
      return "float32";
    case ContextLayout::ElementType::kBFloat16:
      return "bfloat16";
    case ContextLayout::ElementType::kFloat8E4M3:
      return "float8_e4m3";
    case ContextLayout::ElementType::kInt8:
      return "int8";
  }
  return "unknown";
}

}  // namespace automot::context
