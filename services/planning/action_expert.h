// The fast expert as the planning service sees it. Torch-free; torch_action_expert.* implements it,
// tests have a fake.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/context/context_snapshot.h"
#include "common/lidar/histogram.h"
#include "common/types/observation.h"
#include "common/types/trajectory.h"

namespace automot::planning {

// A snapshot made ready for the expert (uploaded, wrapped). Immutable; keeps the snapshot alive.
// Never destroyed on the planning thread: the store's janitor does that.
class PreparedContext {
 public:
  virtual ~PreparedContext() = default;
};

// Inputs of one tick for one vehicle. Borrowed: everything stays valid and unchanged during Plan.
struct PlanFeatures {
  const RgbImage* camera =
      nullptr;  // uncropped front camera; null: zero picture, or bev_feature given
  const LidarHistogram* lidar = nullptr;    // null: zero histogram
  const BevFeature* bev_feature = nullptr;  // in place of camera and LiDAR
  Vec2 target_points[2];                    // current, next: ego frame, metres
  double speed_mps = 0.0;                   // metres per second
  SessionTimeUs capture_time_us = 0;        // of the observation: time of decision slot 0
};

struct PlanOutput {
  Trajectory trajectory;
  Decision decision;
  double bev_encoder_s = 0.0;    // wall time
  double action_expert_s = 0.0;  // wall time
};

// One vehicle of a batch.
struct PlanItem {
  PlanFeatures features;
  const PreparedContext* context = nullptr;  // borrowed
  PlanOutput output;
  absl::Status status;  // of this vehicle
};

struct ActionExpertInfo {
  std::string model_revision;
  std::string target_point_rule;
  bool weights_trained = false;
  int bev_channels = 0;
  int crop_rows = 0;      // top rows of the camera that the BEV encoder reads
  int camera_width = 0;   // camera width that the BEV encoder was made for
  int camera_height = 0;  // and height, before the crop
  // The encoder learnt from JPEG pictures: others get JPEG's artefacts before it sees them.
  bool learnt_from_jpeg = true;
  double camera_fov_deg = 110.0;           // horizontal, of that camera
  double rear_axle_behind_origin_m = 1.4;  // of the vehicle that it drove: the ego frame's origin
  lidar::HistogramOptions lidar_histogram;
  // Of the keys and values that Prepare takes.
  context::ContextLayout::ElementType context_element_type =
      context::ContextLayout::ElementType::kFloat32;
  // Keys and values of a usual context in the compact layout; 0: unknown.
  std::size_t usual_context_bytes = 0;
};

// Prepare may be called on any thread but the planning thread, also while Plan runs; everything
// else belongs to the planning thread.
class ActionExpert {
 public:
  virtual ~ActionExpert() = default;

  virtual const ActionExpertInfo& info() const = 0;

  // Makes a verified snapshot ready. FAILED_PRECONDITION where its revision, layout or dtype does
  // not fit (semantics 2).
  virtual absl::StatusOr<std::unique_ptr<const PreparedContext>> Prepare(
      std::shared_ptr<const context::ContextSnapshot> snapshot) const = 0;

  // Runs every path once on synthetic inputs, batches up to `max_batch` included. Called once,
  // before serving.
  virtual absl::Status WarmUp(int max_batch) = 0;
  // What a batch of `batch` took then; zero: not measured.
  virtual absl::Duration WarmCost(int /*batch*/) const { return absl::ZeroDuration(); }

  // One tick. Writes `output` in place.
  virtual absl::Status Plan(const PlanFeatures& features, const PreparedContext& context,
                            PlanOutput* output) = 0;
  // One tick for several vehicles with unlike contexts, in one run where the expert can: each gets
  // what it would get alone, but for rounding. Writes output and status of every item.
  virtual void PlanBatch(absl::Span<PlanItem> items) {
    for (PlanItem& item : items) item.status = Plan(item.features, *item.context, &item.output);
  }
};

}  // namespace automot::planning
