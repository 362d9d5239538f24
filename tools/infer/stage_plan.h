// Which stages run, and from which of the inputs each takes what it needs.
//
//   raw_frames -> pixel_values -> image features -+-> context (k_cache, v_cache) -+
//   prefix_ids + instruction_ids (or --prompt) ---+                               |
//   camera_rgb / rgb + lidar_hist_counts -> bev_feature --------------------------+-> action expert
//   target_points + speed --------------------------------------------------------+
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/infer/infer_options.h"

namespace automot::infer {

enum class PixelSource : uint8_t { kNone, kRawFrames, kPixelValues };
enum class ContextSource : uint8_t { kNone, kPrefill, kGiven };
enum class BevSource : uint8_t { kNone, kCamera, kCroppedCamera, kGiven };

struct StagePlan {
  PixelSource pixels = PixelSource::kNone;  // anything but kNone: the vision tower runs
  ContextSource context = ContextSource::kNone;
  BevSource bev = BevSource::kNone;
  bool action = false;
  std::vector<std::string> notes;  // what the caller may not expect, one line each

  bool understanding_runs() const { return pixels != PixelSource::kNone; }
  bool bev_runs() const { return bev == BevSource::kCamera || bev == BevSource::kCroppedCamera; }
};

// Of several entry points of a chain the earliest wins, unless the options say otherwise; what lies
// behind it is recomputed. `has` says whether the file holds an input. INVALID_ARGUMENT naming the
// companion that an input lacks, or where nothing can run.
absl::StatusOr<StagePlan> PlanStages(const std::function<bool(const char*)>& has,
                                     const InferOptions& options);

}  // namespace automot::infer
