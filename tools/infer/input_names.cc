#include "tools/infer/input_names.h"

#include "absl/strings/str_format.h"
#include "common/checkpoint/text.h"

namespace automot::infer {
namespace {

using model::DType;

constexpr InputName kInputs[] = {
    {"raw_frames", DType::kU8, 4, BatchAxis::kNone, "[frames, height, width, 3]",
     "camera history, oldest first, RGB"},
    {"prefix_ids", DType::kI64, 1, BatchAxis::kNone, "[tokens]", "prompt before the images"},
    {"instruction_ids", DType::kI64, 1, BatchAxis::kNone, "[tokens]", "prompt after the images"},
    {"pixel_values", DType::kF32, 2, BatchAxis::kNone, "[patches, values]",
     "preprocessed frames, merge-block order"},
    {"grid_thw", DType::kI64, 2, BatchAxis::kNone, "[images, 3]", "patches of each image: t, h, w"},
    {"camera_rgb", DType::kU8, 3, BatchAxis::kFirst, "[batch, height, width, 3]",
     "current front camera, uncropped"},
    {"rgb", DType::kU8, 3, BatchAxis::kFirst, "[batch, rows, cols, 3]",
     "current front camera, cropped; wins over camera_rgb"},
    {"lidar_hist_counts", DType::kU8, 3, BatchAxis::kFirst, "[batch, 1, rows, cols]",
     "LiDAR points per cell, rows = y"},
    {"bev_feature", DType::kF32, 3, BatchAxis::kFirst, "[batch, channels, rows, cols]",
     "result of the BEV encoder"},
    {"target_points", DType::kF32, 2, BatchAxis::kFirst, "[batch, 2, 2]",
     "current and next, ego frame, metres"},
    {"speed", DType::kF32, 0, BatchAxis::kFirst, "[batch]", "metres per second"},
    {"k_cache", DType::kF32, 4, BatchAxis::kFirst, "[contexts, layers, tokens, kv_heads, dim]",
     "keys of a context, full or compact"},
    {"v_cache", DType::kF32, 4, BatchAxis::kFirst, "[contexts, layers, tokens, kv_heads, dim]",
     "values of a context, full or compact"},
    {"position_start", DType::kI64, 0, BatchAxis::kFirst, "[contexts]",
     "first position after the context"},
};

}  // namespace

absl::Span<const InputName> InputNames() { return kInputs; }

const InputName* FindInputName(std::string_view name) {
  for (const InputName& input : kInputs) {
    if (input.name == name) return &input;
  }
  return nullptr;
}

std::string DescribeInputs() {
  std::string text;
  for (const InputName& input : kInputs) {
    absl::StrAppendFormat(&text, "  %-18s %-4s %-42s %s\n", model::ToAbsl(input.name),
                          model::ToAbsl(model::DTypeName(input.dtype)), model::ToAbsl(input.axes),
                          model::ToAbsl(input.meaning));
  }
  return text +
         "The axes batch and contexts may be absent where they are 1; one context serves the whole "
         "batch, or each\nobservation has its own.";
}

}  // namespace automot::infer
