// Which of a vehicle's cameras stands in for the checkpoint's, and its picture as that one would
// show it.
//
// Only direction and lens are compensated: the pictures of two mounts differ by parallax, which
// fades with distance and cannot be undone without depth. Where the vehicle's camera does not look
// the picture is black.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/types/observation.h"
#include "services/egodriver/geometry/camera_lens.h"

namespace automot::egodriver {

// A camera of the vehicle as the client declares it.
struct RigCamera {
  std::string id;
  Lens lens;      // at `width` x `height`
  int width = 0;  // native, pixels; 0: as the frames come
  int height = 0;
  Quat camera_in_rig;  // optical frame in the rig (active)
};

// The camera that the checkpoint was made for: a pinhole that looks straight ahead.
struct ModelCamera {
  int width = 0;
  int height = 0;
  double fov_deg = 110.0;  // horizontal

  double FocalLength() const;  // pixels
};

// Fraction of the model camera's picture that `camera` sees, 0 to 1.
double Coverage(const RigCamera& camera, const ModelCamera& model);

// The camera that sees most of what the model's sees, among those that look at most 60 degrees off
// straight ahead; of equals the first. INVALID_ARGUMENT where there is none.
absl::StatusOr<std::size_t> ChooseFrontCamera(absl::Span<const RigCamera> cameras,
                                              const ModelCamera& model);

// From frames of one size of one camera to the model's picture. Immutable.
class Reprojection {
 public:
  Reprojection(const RigCamera& camera, const ModelCamera& model, int width, int height);

  // `frame` is of the declared size, or of that size divided by reduction(), rounded up: its pixels
  // are then the means of squares of that side. INVALID_ARGUMENT where it is of another size.
  absl::StatusOr<RgbImage> Apply(const RgbImage& frame) const;
  bool Fits(int width, int height) const { return width == width_ && height == height_; }
  // What decoding may leave out already, as DecodeJpegReduced has it: 1, 2, 4 or 8.
  int reduction() const { return reduction_; }
  // The frame is already the model's picture.
  bool identity() const { return identity_; }

 private:
  struct Tap {
    int32_t offset = -1;  // of the upper left pixel, in pixels; -1: not seen
    uint16_t right = 0;   // weight of the right column, 0 to 256
    uint16_t below = 0;   // weight of the lower row
  };
  // Columns of a row of the model's picture that may be seen: first and one behind the last.
  struct Span {
    int first = 0, end = 0;
  };
  void MakeTaps(const RigCamera& camera, const ModelCamera& model);
  void MakeSpans();
  void Sample(const uint8_t* pixels, RgbImage* out) const;

  int width_, height_;  // of the frames
  int shrink_ = 1;      // frames are averaged over squares of this side first
  int reduction_ = 1;   // the part of it that decoding can do
  int small_width_, small_height_;
  int model_width_, model_height_;
  bool identity_ = false;
  std::vector<Tap> taps_;    // [model height, model width]
  std::vector<Span> spans_;  // [model height]
};

// Vehicles of one fleet share their tables. Thread-safe.
class ReprojectionCache {
 public:
  explicit ReprojectionCache(const ModelCamera& model) : model_(model) {}

  const ModelCamera& model() const { return model_; }
  std::shared_ptr<const Reprojection> For(const RigCamera& camera, int width, int height);

 private:
  struct Entry {
    Lens lens;
    Quat camera_in_rig;
    int native_width, native_height, width, height;
    std::weak_ptr<const Reprojection> table;
  };
  const ModelCamera model_;
  std::mutex mutex_;
  std::vector<Entry> entries_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace automot::egodriver
