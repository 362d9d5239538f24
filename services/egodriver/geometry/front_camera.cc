#include "services/egodriver/geometry/front_camera.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numbers>

#include "absl/strings/str_cat.h"

namespace automot::egodriver {
namespace {

constexpr double kRadPerDeg = std::numbers::pi / 180.0;
constexpr double kForwardCos = 0.5;  // of 60 degrees
constexpr int kCoverageGrid = 24;    // directions along each axis
constexpr double kSamePixels = 0.25;
constexpr int kWeightOne = 256;

// Direction of a pixel of the model's camera, in the rig: x forward, y left, z up.
Vec3 RayInRig(const ModelCamera& model, double column, double row) {
  const double f = model.FocalLength();
  return {1.0, -(column - model.width / 2.0) / f, -(row - model.height / 2.0) / f};
}

// Where `camera` shows that direction, in pixels of a frame of width x height.
std::optional<Vec2> PixelOf(const RigCamera& camera, const Vec3& ray_in_rig, int width,
                            int height) {
  const auto pixel = Project(camera.lens, Rotate(Conjugate(camera.camera_in_rig), ray_in_rig));
  if (!pixel) return std::nullopt;
  // Intrinsics are those of the native size; frames come at the size they were rendered at.
  const double sx = camera.width > 0 ? static_cast<double>(width) / camera.width : 1.0;
  const double sy = camera.height > 0 ? static_cast<double>(height) / camera.height : 1.0;
  const Vec2 scaled{pixel->x * sx, pixel->y * sy};
  const bool inside = scaled.x >= 0.0 && scaled.x <= width && scaled.y >= 0.0 && scaled.y <= height;
  return inside ? std::optional<Vec2>(scaled) : std::nullopt;
}

// Adds the pixels of a row to the sums of the squares that it crosses.
void AddRow(const uint8_t* pixel, int frame_width, int side, std::vector<uint32_t>* sums) {
  uint32_t* sum = sums->data();
  for (int x = 0; x < frame_width; sum += 3) {
    const int end = std::min(x + side, frame_width);
    for (; x < end; ++x, pixel += 3) {
      sum[0] += pixel[0];
      sum[1] += pixel[1];
      sum[2] += pixel[2];
    }
  }
}

// Averages squares of `side` pixels; the last ones of a row or column may be smaller.
RgbImage Shrink(const RgbImage& frame, int side, int width, int height) {
  RgbImage small{width, height, std::vector<uint8_t>(static_cast<std::size_t>(width) * height * 3)};
  std::vector<uint32_t> sums(static_cast<std::size_t>(width) * 3);
  for (int row = 0; row < height; ++row) {
    std::fill(sums.begin(), sums.end(), 0U);
    const int top = row * side, bottom = std::min(top + side, frame.height);
    for (int y = top; y < bottom; ++y) {
      AddRow(frame.pixels.data() + static_cast<std::size_t>(y) * frame.width * 3, frame.width, side,
             &sums);
    }
    uint8_t* out = small.pixels.data() + static_cast<std::size_t>(row) * width * 3;
    for (int x = 0; x < width; ++x) {
      const uint32_t columns = std::min(side, frame.width - x * side);
      const uint32_t area = columns * (bottom - top);
      for (int c = 0; c < 3; ++c)
        *out++ = static_cast<uint8_t>((sums[x * 3 + c] + area / 2) / area);
    }
  }
  return small;
}

int DividedUp(int value, int by) { return (value + by - 1) / by; }

// Of the divisions that decoding can do, the largest that leaves whole squares to average.
int ReductionOf(int shrink) {
  for (const int reduction : {8, 4, 2}) {
    if (shrink % reduction == 0) return reduction;
  }
  return 1;
}

}  // namespace

double ModelCamera::FocalLength() const {
  return width / 2.0 / std::tan(fov_deg * kRadPerDeg / 2.0);
}

double Coverage(const RigCamera& camera, const ModelCamera& model) {
  // Without a native size frames are taken to be centred on the principal point.
  const int width =
      camera.width > 0 ? camera.width : static_cast<int>(2 * camera.lens.principal_point.x);
  const int height =
      camera.height > 0 ? camera.height : static_cast<int>(2 * camera.lens.principal_point.y);
  int seen = 0;
  for (int i = 0; i < kCoverageGrid; ++i) {
    for (int j = 0; j < kCoverageGrid; ++j) {
      const Vec3 ray = RayInRig(model, (j + 0.5) * model.width / kCoverageGrid,
                                (i + 0.5) * model.height / kCoverageGrid);
      if (PixelOf(camera, ray, width, height)) ++seen;
    }
  }
  return static_cast<double>(seen) / (kCoverageGrid * kCoverageGrid);
}

absl::StatusOr<std::size_t> ChooseFrontCamera(absl::Span<const RigCamera> cameras,
                                              const ModelCamera& model) {
  std::size_t best = cameras.size();
  double best_coverage = 0.0;
  for (std::size_t i = 0; i < cameras.size(); ++i) {
    if (Rotate(cameras[i].camera_in_rig, {0.0, 0.0, 1.0}).x < kForwardCos) continue;
    const double coverage = Coverage(cameras[i], model);
    if (coverage <= best_coverage) continue;
    best = i;
    best_coverage = coverage;
  }
  if (best < cameras.size()) return best;
  return absl::InvalidArgumentError(absl::StrCat(
      "rollout_spec.vehicle.available_cameras has ", cameras.size(),
      " cameras; none looks ahead (at most 60 degrees off the rig's x axis) at what the "
      "checkpoint's camera sees"));
}

Reprojection::Reprojection(const RigCamera& camera, const ModelCamera& model, int width, int height)
    : width_(width), height_(height), model_width_(model.width), model_height_(model.height) {
  const double scale = camera.width > 0 ? static_cast<double>(width) / camera.width : 1.0;
  const double ratio = FocalLength(camera.lens) * scale / model.FocalLength();
  // Bounded before it is a whole number: a declared lens may be as long as a double holds.
  const double most = std::min({width, height, 64});
  shrink_ = ratio > 1.0 ? static_cast<int>(std::min(ratio, most)) : 1;
  small_width_ = DividedUp(width, shrink_);
  small_height_ = DividedUp(height, shrink_);
  MakeTaps(camera, model);
  reduction_ = identity_ ? 1 : ReductionOf(shrink_);
  MakeSpans();
}

void Reprojection::MakeTaps(const RigCamera& camera, const ModelCamera& model) {
  taps_.resize(static_cast<std::size_t>(model.width) * model.height);
  bool same = width_ == model.width && height_ == model.height;
  for (int row = 0; row < model.height; ++row) {
    for (int column = 0; column < model.width; ++column) {
      const Vec2 centre{column + 0.5, row + 0.5};
      const auto pixel = PixelOf(camera, RayInRig(model, centre.x, centre.y), width_, height_);
      same = same && pixel && std::hypot(pixel->x - centre.x, pixel->y - centre.y) < kSamePixels;
      if (!pixel) continue;
      // From the corner's origin to that of the first centre, where taps are whole numbers.
      const double x = std::clamp(pixel->x / shrink_ - 0.5, 0.0, small_width_ - 1.0);
      const double y = std::clamp(pixel->y / shrink_ - 0.5, 0.0, small_height_ - 1.0);
      const int left = std::min(static_cast<int>(x), std::max(small_width_ - 2, 0));
      const int top = std::min(static_cast<int>(y), std::max(small_height_ - 2, 0));
      Tap& tap = taps_[static_cast<std::size_t>(row) * model.width + column];
      tap.offset = top * small_width_ + left;
      tap.right = static_cast<uint16_t>(std::lround((x - left) * kWeightOne));
      tap.below = static_cast<uint16_t>(std::lround((y - top) * kWeightOne));
    }
  }
  identity_ = same;
  if (identity_) taps_ = {};
}

void Reprojection::MakeSpans() {
  if (identity_) return;
  const auto seen = [](const Tap& tap) { return tap.offset >= 0; };
  for (int row = 0; row < model_height_; ++row) {
    const auto begin = taps_.begin() + std::ptrdiff_t{row} * model_width_;
    const auto end = begin + model_width_;
    const auto first = std::find_if(begin, end, seen);
    const auto last =
        std::find_if(std::make_reverse_iterator(end), std::make_reverse_iterator(first), seen);
    spans_.push_back({static_cast<int>(first - begin), static_cast<int>(last.base() - begin)});
  }
}

absl::StatusOr<RgbImage> Reprojection::Apply(const RgbImage& frame) const {
  const bool whole = Fits(frame.width, frame.height);
  const bool reduced = frame.width == DividedUp(width_, reduction_) &&
                       frame.height == DividedUp(height_, reduction_);
  if (!whole && !reduced) {
    return absl::InvalidArgumentError(absl::StrCat("frame is ", frame.width, "x", frame.height,
                                                   "; expected ", width_, "x", height_));
  }
  if (identity_) return frame;
  const int side = whole ? shrink_ : shrink_ / reduction_;
  RgbImage out{model_width_, model_height_, std::vector<uint8_t>(taps_.size() * 3)};
  if (side == 1) {
    Sample(frame.pixels.data(), &out);
  } else {
    Sample(Shrink(frame, side, small_width_, small_height_).pixels.data(), &out);
  }
  return out;
}

// `pixels` are [small height, small width, 3]. What is not seen stays as it is.
void Reprojection::Sample(const uint8_t* pixels, RgbImage* out) const {
  const int next_column = small_width_ > 1 ? 3 : 0;
  const std::ptrdiff_t next_row = small_height_ > 1 ? std::ptrdiff_t{small_width_} * 3 : 0;
  for (int row = 0; row < model_height_; ++row) {
    const Span& span = spans_[static_cast<std::size_t>(row)];
    const std::ptrdiff_t first = std::ptrdiff_t{row} * model_width_ + span.first;
    const Tap* tap = taps_.data() + first;
    uint8_t* to = out->pixels.data() + first * 3;
    for (int column = span.first; column < span.end; ++column, ++tap, to += 3) {
      if (tap->offset < 0) continue;
      const uint8_t* from = pixels + std::ptrdiff_t{tap->offset} * 3;
      const int right = tap->right, left = kWeightOne - right;
      const int below = tap->below, above = kWeightOne - below;
      for (int c = 0; c < 3; ++c) {
        const int upper = from[c] * left + from[c + next_column] * right;
        const int lower = from[c + next_row] * left + from[c + next_row + next_column] * right;
        to[c] = static_cast<uint8_t>((upper * above + lower * below + (1 << 15)) >> 16);
      }
    }
  }
}

std::shared_ptr<const Reprojection> ReprojectionCache::For(const RigCamera& camera, int width,
                                                           int height) {
  const std::lock_guard lock(mutex_);
  std::erase_if(entries_, [](const Entry& entry) { return entry.table.expired(); });
  for (const Entry& entry : entries_) {
    if (entry.width == width && entry.height == height && entry.native_width == camera.width &&
        entry.native_height == camera.height && entry.camera_in_rig == camera.camera_in_rig &&
        entry.lens == camera.lens) {
      if (auto table = entry.table.lock()) return table;
    }
  }
  auto table = std::make_shared<const Reprojection>(camera, model_, width, height);
  entries_.push_back(
      {camera.lens, camera.camera_in_rig, camera.width, camera.height, width, height, table});
  return table;
}

}  // namespace automot::egodriver
