// From a direction to the pixel where a lens puts it: OpenCV's pinhole and fisheye, and the F-theta
// lens of automotive cameras. Pure.
//
// Camera frame: x right, y down, z along the optical axis. Pixels are continuous: the first one
// covers 0 to 1 in both axes.
#pragma once

#include <array>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "common/types/geometry.h"
#include "services/egodriver/geometry/rig_geometry.h"

namespace automot::egodriver {

struct Lens {
  enum class Model { kPinhole, kFisheye, kFtheta };
  Model model = Model::kPinhole;
  Vec2 principal_point;                   // pixels
  Vec2 focal_length;                      // pixels; kPinhole and kFisheye
  std::array<double, 6> radial{};         // kPinhole: k1 to k6; kFisheye: k1 to k4
  std::array<double, 2> tangential{};     // p1, p2; kPinhole
  std::array<double, 4> thin_prism{};     // s1 to s4; kPinhole
  std::vector<double> angle_to_radius;    // kFtheta: coefficients, constant term first
  std::vector<double> radius_to_angle;    // kFtheta; where it is not empty it defines the lens
  double max_angle_rad = 0.0;             // kFisheye, kFtheta: seen up to here; 0: everything
  std::array<double, 3> linear{1, 0, 0};  // kFtheta: c, d, e of [[c, d], [e, 1]]
  friend bool operator==(const Lens&, const Lens&) = default;
};

// INVALID_ARGUMENT naming `camera`, the value and the limit where `lens` describes none.
absl::Status CheckLens(const std::string& camera, const Lens& lens);

// Pixel of the direction `ray` (any length); nothing where the lens does not see it.
std::optional<Vec2> Project(const Lens& lens, const Vec3& ray);

// Pixels per radian on the optical axis.
double FocalLength(const Lens& lens);

}  // namespace automot::egodriver
