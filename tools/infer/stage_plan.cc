#include "tools/infer/stage_plan.h"

#include <initializer_list>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status/status_macros.h"

namespace automot::infer {
namespace {

class Planner {
 public:
  Planner(const std::function<bool(const char*)>& has, const InferOptions& options)
      : has_(has), options_(options) {}

  absl::StatusOr<StagePlan> Plan() {
    AUTOMOT_RETURN_IF_ERROR(ChoosePixels());
    AUTOMOT_RETURN_IF_ERROR(ChooseContext());
    AUTOMOT_RETURN_IF_ERROR(ChooseBev());
    AUTOMOT_RETURN_IF_ERROR(ChooseAction());
    return plan_;
  }

 private:
  bool EntersAt(EntryPoint point) const { return options_.enter_at.count(point) != 0; }

  // Inputs that only make sense together: all or an error that names the first one missing.
  absl::Status Require(std::initializer_list<const char*> names, const std::string& reason) const {
    for (const char* name : names) {
      if (!has_(name))
        return absl::InvalidArgumentError(absl::StrCat(name, " is missing: ", reason));
    }
    return absl::OkStatus();
  }

  absl::Status ChoosePixels() {
    if (EntersAt(EntryPoint::kContext)) return absl::OkStatus();
    if (has_("raw_frames") && !EntersAt(EntryPoint::kPixels)) {
      plan_.pixels = PixelSource::kRawFrames;
      return absl::OkStatus();
    }
    if (!EntersAt(EntryPoint::kPixels) && !has_("pixel_values") && !has_("grid_thw")) {
      return absl::OkStatus();
    }
    plan_.pixels = PixelSource::kPixelValues;
    return Require({"pixel_values", "grid_thw"}, "pixel_values and grid_thw go together");
  }

  absl::Status ChooseContext() {
    const bool by_prompt = !options_.prompt.empty();
    const bool has_ids = has_("prefix_ids") || has_("instruction_ids");
    const bool has_cache = has_("k_cache") || has_("v_cache") || has_("position_start");
    const bool has_pixels = plan_.pixels != PixelSource::kNone;
    if (options_.answer && !has_pixels) {
      return absl::InvalidArgumentError(
          "raw_frames is missing: --answer needs pictures (raw_frames, or pixel_values)");
    }
    if (has_pixels && (by_prompt || has_ids)) {
      plan_.context = ContextSource::kPrefill;
      if (by_prompt) return absl::OkStatus();
      return Require({"prefix_ids", "instruction_ids"},
                     "prefix_ids and instruction_ids go together");
    }
    if (has_cache || EntersAt(EntryPoint::kContext)) {
      plan_.context = ContextSource::kGiven;
      return Require({"k_cache", "v_cache", "position_start"},
                     "a given context is k_cache, v_cache and position_start");
    }
    if (!by_prompt && !has_ids) return absl::OkStatus();
    return absl::InvalidArgumentError(
        "raw_frames is missing: a prompt needs pictures (raw_frames, or pixel_values)");
  }

  absl::Status ChooseBev() {
    const bool has_picture = has_("rgb") || has_("camera_rgb");
    if (EntersAt(EntryPoint::kBevFeature)) {
      plan_.bev = BevSource::kGiven;
      return Require({"bev_feature"}, "--enter-at bev_feature");
    }
    if (has_picture || has_("lidar_hist_counts")) {
      plan_.bev = has_("rgb") ? BevSource::kCroppedCamera : BevSource::kCamera;
      if (has_("rgb") && has_("camera_rgb"))
        plan_.notes.push_back("camera_rgb is not used: rgb wins");
      if (has_picture) {
        return Require({"lidar_hist_counts"}, "the BEV encoder needs it beside the picture");
      }
      return absl::InvalidArgumentError(
          "rgb is missing: the BEV encoder needs rgb or camera_rgb beside lidar_hist_counts");
    }
    if (has_("bev_feature")) plan_.bev = BevSource::kGiven;
    return absl::OkStatus();
  }

  absl::Status ChooseAction() {
    const bool wanted = has_("target_points") || has_("speed");
    if (wanted) {
      AUTOMOT_RETURN_IF_ERROR(
          Require({"target_points", "speed"}, "target_points and speed go together"));
    }
    std::vector<std::string> missing;
    if (plan_.bev == BevSource::kNone)
      missing.push_back("bev_feature (or rgb + lidar_hist_counts)");
    if (!wanted) missing.push_back("target_points + speed");
    if (plan_.context == ContextSource::kNone) {
      missing.push_back("a context (raw_frames + instruction_ids, or k_cache)");
    }
    plan_.action = missing.empty();
    if (plan_.action) return absl::OkStatus();
    const std::string why =
        absl::StrCat("the action expert does not run: missing ", absl::StrJoin(missing, ", "));
    if (!plan_.understanding_runs() && !plan_.bev_runs()) {
      return absl::InvalidArgumentError(absl::StrCat("nothing to run; ", why));
    }
    if (wanted) plan_.notes.push_back(why);
    return absl::OkStatus();
  }

  const std::function<bool(const char*)>& has_;
  const InferOptions& options_;
  StagePlan plan_;
};

}  // namespace

absl::StatusOr<StagePlan> PlanStages(const std::function<bool(const char*)>& has,
                                     const InferOptions& options) {
  return Planner(has, options).Plan();
}

}  // namespace automot::infer
