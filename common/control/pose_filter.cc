#include "common/control/pose_filter.h"

#include <algorithm>
#include <cmath>

namespace automot::control {
namespace {

using Vector = PoseFilter::Vector;
using Matrix = PoseFilter::Matrix;
constexpr int kStates = PoseFilter::kStates;

// Bicycle: distances from the centre of mass to the axles, tuned to CARLA by "World on Rails".
constexpr double kFrontAxleM = -0.090769015, kRearAxleM = 1.4178275;
constexpr double kWheelPerSteerRad = 0.36848336;
constexpr double kBrakeMps2 = -4.952399, kThrottleMps2 = 0.5633837;

constexpr Vector kInitialVariance = {0.5, 0.5, 1e-6, 1e-6};
constexpr Vector kMeasurementVariance = {0.5, 0.5, 1e-15, 1e-15};
constexpr Vector kProcessVariance = {1e-4, 1e-4, 1e-3, 1e-3};

// Sigma points: alpha 1e-5, beta 2, kappa 0.
constexpr double kAlphaSquared = 1e-10, kBeta = 2.0;
constexpr double kSpreadSquared = kAlphaSquared * kStates;     // n + lambda
constexpr double kOuterWeight = 1.0 / (2.0 * kSpreadSquared);  // of each of the 2n outer points
constexpr double kCentreExtra = 1.0 - kAlphaSquared + kBeta;   // covariance weight - mean weight

Matrix Diagonal(const Vector& values) {
  Matrix m{};
  for (int i = 0; i < kStates; ++i) m[i][i] = values[i];
  return m;
}

// Lower triangular L with L L^T = m. A pivot that rounding has made not positive gives a zero
// column.
Matrix Cholesky(const Matrix& m) {
  Matrix lower{};
  for (int j = 0; j < kStates; ++j) {
    double pivot = m[j][j];
    for (int k = 0; k < j; ++k) pivot -= lower[j][k] * lower[j][k];
    if (!(pivot > 0.0)) continue;
    lower[j][j] = std::sqrt(pivot);
    for (int i = j + 1; i < kStates; ++i) {
      double sum = m[i][j];
      for (int k = 0; k < j; ++k) sum -= lower[i][k] * lower[j][k];
      lower[i][j] = sum / lower[j][j];
    }
  }
  return lower;
}

// Solves (L L^T) x = b.
Vector Solve(const Matrix& lower, Vector b) {
  for (int i = 0; i < kStates; ++i) {
    for (int k = 0; k < i; ++k) b[i] -= lower[i][k] * b[k];
    b[i] /= lower[i][i];
  }
  for (int i = kStates - 1; i >= 0; --i) {
    for (int k = i + 1; k < kStates; ++k) b[i] -= lower[k][i] * b[k];
    b[i] /= lower[i][i];
  }
  return b;
}

Vector Difference(const VehicleState& a, const VehicleState& b) {
  return {a.pose.position.x - b.pose.position.x, a.pose.position.y - b.pose.position.y,
          WrapAngle(a.pose.yaw_rad - b.pose.yaw_rad), a.speed_mps - b.speed_mps};
}

VehicleState Moved(const VehicleState& state, const Vector& by) {
  return {{{state.pose.position.x + by[0], state.pose.position.y + by[1]},
           WrapAngle(state.pose.yaw_rad + by[2])},
          state.speed_mps + by[3]};
}

void AddOuterProduct(double weight, const Vector& v, Matrix* m) {
  for (int i = 0; i < kStates; ++i) {
    for (int j = 0; j < kStates; ++j) (*m)[i][j] += weight * v[i] * v[j];
  }
}

bool Finite(const VehicleState& state) {
  return std::isfinite(state.pose.position.x) && std::isfinite(state.pose.position.y) &&
         std::isfinite(state.pose.yaw_rad) && std::isfinite(state.speed_mps);
}

// (I - K) P (I - K)^T + K R K^T: stays positive where the short form P - K P would not.
Matrix CorrectedCovariance(const Matrix& gain, const Matrix& covariance) {
  Matrix rest = Diagonal({1.0, 1.0, 1.0, 1.0}), left{}, result{};
  for (int i = 0; i < kStates; ++i) {
    for (int j = 0; j < kStates; ++j) rest[i][j] -= gain[i][j];
  }
  for (int i = 0; i < kStates; ++i) {
    for (int j = 0; j < kStates; ++j) {
      for (int k = 0; k < kStates; ++k) left[i][j] += rest[i][k] * covariance[k][j];
    }
  }
  for (int i = 0; i < kStates; ++i) {
    for (int j = 0; j < kStates; ++j) {
      for (int k = 0; k < kStates; ++k) {
        result[i][j] += left[i][k] * rest[j][k] + gain[i][k] * kMeasurementVariance[k] * gain[j][k];
      }
    }
  }
  return result;
}

}  // namespace

VehicleState AdvanceBicycle(const VehicleState& state, const ControlCommand& command, double dt_s) {
  const double acceleration = command.brake > 0.0 ? kBrakeMps2 : kThrottleMps2 * command.throttle;
  const double wheel_rad = kWheelPerSteerRad * command.steer;
  const double slip = std::atan(kRearAxleM / (kFrontAxleM + kRearAxleM) * std::tan(wheel_rad));
  const double course = state.pose.yaw_rad + slip, step = state.speed_mps * dt_s;
  return {{{state.pose.position.x + step * std::cos(course),
            state.pose.position.y + step * std::sin(course)},
           state.pose.yaw_rad + step / kRearAxleM * std::sin(slip)},
          std::max(state.speed_mps + acceleration * dt_s, 0.0)};
}

void PoseFilter::Predict(const ControlCommand& applied) {
  const Vec2 origin = state_.pose.position;
  VehicleState centre = state_;
  centre.pose.position = {};
  const VehicleState moved = AdvanceBicycle(centre, applied, kStepSeconds);
  const Matrix root = Cholesky(covariance_);
  Vector shift{};  // of the mean against the central point
  Matrix spread{};
  for (int column = 0; column < kStates; ++column) {
    for (const double side : {1.0, -1.0}) {
      Vector offset{};
      for (int i = 0; i < kStates; ++i) {
        offset[i] = side * std::sqrt(kSpreadSquared) * root[i][column];
      }
      const VehicleState point = AdvanceBicycle(Moved(centre, offset), applied, kStepSeconds);
      const Vector difference = Difference(point, moved);
      for (int i = 0; i < kStates; ++i) shift[i] += kOuterWeight * difference[i];
      AddOuterProduct(kOuterWeight, difference, &spread);
    }
  }
  AddOuterProduct(kCentreExtra - 1.0, shift, &spread);
  for (int i = 0; i < kStates; ++i) spread[i][i] += kProcessVariance[i];
  covariance_ = spread;
  state_ = Moved(moved, shift);
  state_.pose.position.x += origin.x;
  state_.pose.position.y += origin.y;
}

void PoseFilter::Correct(const VehicleState& measured) {
  Matrix innovation = covariance_;
  for (int i = 0; i < kStates; ++i) innovation[i][i] += kMeasurementVariance[i];
  const Matrix lower = Cholesky(innovation);
  Matrix gain{};  // P (P + R)^-1, row by row: both are symmetric
  for (int i = 0; i < kStates; ++i) gain[i] = Solve(lower, covariance_[i]);
  const Vector residual = Difference(measured, state_);
  Vector correction{};
  for (int i = 0; i < kStates; ++i) {
    for (int k = 0; k < kStates; ++k) correction[i] += gain[i][k] * residual[k];
  }
  state_ = Moved(state_, correction);
  covariance_ = CorrectedCovariance(gain, covariance_);
}

VehicleState PoseFilter::Step(const VehicleState& measured, const ControlCommand& applied) {
  const bool usable = Finite(measured);
  if (!started_) {
    if (!usable) return state_;
    started_ = true;
    state_ = Moved(measured, {});
    covariance_ = Diagonal(kInitialVariance);
    return state_;
  }
  Predict(applied);
  if (usable) Correct(measured);
  return state_;
}

}  // namespace automot::control
