#include "services/egodriver/geometry/camera_lens.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"

namespace automot::egodriver {
namespace {

constexpr double kMaxPixels = 1e6;
constexpr std::size_t kMaxCoefficients = 16;
constexpr int kNewtonSteps = 20;

double Polynomial(absl::Span<const double> coefficients, double x) {
  double value = 0.0;
  for (auto c = coefficients.rbegin(); c != coefficients.rend(); ++c) value = value * x + *c;
  return value;
}

double Slope(absl::Span<const double> coefficients, double x) {
  double value = 0.0;
  for (std::size_t i = coefficients.size(); i-- > 1;) {
    value = value * x + static_cast<double>(i) * coefficients[i];
  }
  return value;
}

// The radius whose angle is `angle`, by Newton's method from the inverse polynomial or the slope at
// the axis.
std::optional<double> RadiusOf(const Lens& lens, double angle) {
  if (lens.radius_to_angle.empty()) return Polynomial(lens.angle_to_radius, angle);
  double radius = lens.angle_to_radius.empty() ? angle / lens.radius_to_angle[1]
                                               : Polynomial(lens.angle_to_radius, angle);
  for (int i = 0; i < kNewtonSteps; ++i) {
    const double slope = Slope(lens.radius_to_angle, radius);
    if (!(slope > 0.0)) return std::nullopt;  // beyond where the lens is one to one
    const double step = (Polynomial(lens.radius_to_angle, radius) - angle) / slope;
    radius -= step;
    if (std::abs(step) < 1e-9) return radius;
  }
  return std::nullopt;
}

double RadialFactor(const Lens& lens, double r2) {
  const auto& k = lens.radial;
  return (1.0 + r2 * (k[0] + r2 * (k[1] + r2 * k[2]))) /
         (1.0 + r2 * (k[3] + r2 * (k[4] + r2 * k[5])));
}

std::optional<Vec2> ProjectPinhole(const Lens& lens, const Vec3& ray) {
  if (!(ray.z > 0.0)) return std::nullopt;
  const double x = ray.x / ray.z, y = ray.y / ray.z;
  const double r2 = x * x + y * y, r = std::sqrt(r2);
  const double factor = RadialFactor(lens, r2);
  // Where a distortion folds back, two directions meet in one pixel: the outer one is not seen.
  constexpr double kInside = 0.999;
  const double inner = kInside * r * RadialFactor(lens, kInside * kInside * r2);
  if (!(r * factor > inner) && r > 0.0) return std::nullopt;
  const auto& p = lens.tangential;
  const auto& s = lens.thin_prism;
  const double dx = 2 * p[0] * x * y + p[1] * (r2 + 2 * x * x) + r2 * (s[0] + r2 * s[1]);
  const double dy = p[0] * (r2 + 2 * y * y) + 2 * p[1] * x * y + r2 * (s[2] + r2 * s[3]);
  return Vec2{lens.principal_point.x + lens.focal_length.x * (x * factor + dx),
              lens.principal_point.y + lens.focal_length.y * (y * factor + dy)};
}

// Both lenses that map the angle from the axis, and keep the direction around it.
std::optional<Vec2> ProjectByAngle(const Lens& lens, const Vec3& ray) {
  const double across = std::hypot(ray.x, ray.y);
  const double angle = std::atan2(across, ray.z);
  if (lens.max_angle_rad > 0.0 && angle > lens.max_angle_rad) return std::nullopt;
  const double ux = across > 0.0 ? ray.x / across : 0.0, uy = across > 0.0 ? ray.y / across : 0.0;
  if (lens.model == Lens::Model::kFisheye) {
    const auto& k = lens.radial;
    const double a2 = angle * angle;
    const double r = angle * (1.0 + a2 * (k[0] + a2 * (k[1] + a2 * (k[2] + a2 * k[3]))));
    return Vec2{lens.principal_point.x + lens.focal_length.x * r * ux,
                lens.principal_point.y + lens.focal_length.y * r * uy};
  }
  const std::optional<double> r = RadiusOf(lens, angle);
  if (!r || !(*r >= 0.0)) return std::nullopt;
  const auto& [c, d, e] = lens.linear;
  return Vec2{lens.principal_point.x + *r * (c * ux + d * uy),
              lens.principal_point.y + *r * (e * ux + uy)};
}

template <typename... Parts>
absl::Status Invalid(const std::string& camera, const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat("camera '", camera, "': ", parts...));
}

bool AllFinite(absl::Span<const double> values) {
  return std::all_of(values.begin(), values.end(), [](double v) { return std::isfinite(v); });
}

absl::Status CheckPolynomials(const std::string& camera, const Lens& lens) {
  const auto& forward = lens.angle_to_radius;
  const auto& backward = lens.radius_to_angle;
  if (forward.size() > kMaxCoefficients || backward.size() > kMaxCoefficients) {
    return Invalid(camera, "a polynomial has more than ", kMaxCoefficients, " coefficients");
  }
  if (!AllFinite(forward) || !AllFinite(backward)) {
    return Invalid(camera, "a polynomial holds a coefficient that is not finite");
  }
  const auto& defining = backward.empty() ? forward : backward;
  if (defining.size() < 2 || !(defining[1] > 0.0)) {
    return Invalid(camera,
                   "its F-theta polynomial must rise from the axis: want at least two "
                   "coefficients, the second above 0");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckLens(const std::string& camera, const Lens& lens) {
  const auto fits = [](double v) { return std::abs(v) <= kMaxPixels; };  // not NaN
  if (!fits(lens.principal_point.x) || !fits(lens.principal_point.y)) {
    return Invalid(camera, "principal_point is (", lens.principal_point.x, ", ",
                   lens.principal_point.y, "); the limit is ", kMaxPixels, " either way");
  }
  if (!std::isfinite(lens.max_angle_rad) || !AllFinite(lens.linear) || !AllFinite(lens.radial) ||
      !AllFinite(lens.tangential) || !AllFinite(lens.thin_prism)) {
    return Invalid(camera, "max_angle or a distortion coefficient is not finite");
  }
  if (lens.model == Lens::Model::kFtheta) return CheckPolynomials(camera, lens);
  for (const double f : {lens.focal_length.x, lens.focal_length.y}) {
    if (!(f > 0.0 && fits(f))) {
      return Invalid(camera, "focal_length is ", f, "; it must be above 0 and at most ",
                     kMaxPixels);
    }
  }
  return absl::OkStatus();
}

std::optional<Vec2> Project(const Lens& lens, const Vec3& ray) {
  return lens.model == Lens::Model::kPinhole ? ProjectPinhole(lens, ray)
                                             : ProjectByAngle(lens, ray);
}

double FocalLength(const Lens& lens) {
  if (lens.model != Lens::Model::kFtheta) return lens.focal_length.x;
  return lens.radius_to_angle.empty() ? lens.angle_to_radius[1] : 1.0 / lens.radius_to_angle[1];
}

}  // namespace automot::egodriver
