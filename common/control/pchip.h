// Monotone piecewise cubic interpolation after Fritsch and Carlson, with the end slopes and the
// weighted harmonic mean that SciPy's PchipInterpolator uses (spec 5.2).
//
// Holds its knots in place: fitting and evaluating allocate nothing. Not thread-safe while Fit
// runs; any number of threads may evaluate.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

#include "absl/types/span.h"

namespace automot::control {

template <std::size_t kMaxKnots>
class Pchip {
 public:
  // `x` strictly increasing, of 2 to kMaxKnots values; `y` of the same length; all finite.
  void Fit(absl::Span<const double> x, absl::Span<const double> y) {
    size_ = std::min(x.size(), kMaxKnots);
    std::copy_n(x.begin(), size_, x_.begin());
    std::copy_n(y.begin(), size_, y_.begin());
    if (size_ == 2) {
      slopes_[0] = slopes_[1] = Secant(0);
      return;
    }
    slopes_[0] = EndSlope(Step(0), Step(1), Secant(0), Secant(1));
    for (std::size_t i = 1; i + 1 < size_; ++i) slopes_[i] = InnerSlope(i);
    slopes_[size_ - 1] =
        EndSlope(Step(size_ - 2), Step(size_ - 3), Secant(size_ - 2), Secant(size_ - 3));
  }

  // Beyond the ends the outermost cubic goes on.
  double operator()(double x) const {
    const auto above = std::upper_bound(x_.begin() + 1, x_.begin() + size_ - 1, x);
    const auto i = static_cast<std::size_t>(above - x_.begin()) - 1;
    const double h = Step(i), s = x - x_[i];
    const double t = (slopes_[i] + slopes_[i + 1] - 2.0 * Secant(i)) / h;
    return y_[i] + s * (slopes_[i] + s * ((Secant(i) - slopes_[i]) / h - t + s * (t / h)));
  }

 private:
  static_assert(kMaxKnots >= 2);

  double Step(std::size_t i) const { return x_[i + 1] - x_[i]; }
  double Secant(std::size_t i) const { return (y_[i + 1] - y_[i]) / Step(i); }

  // Zero at a local extremum, else the weighted harmonic mean of the secants on both sides.
  double InnerSlope(std::size_t i) const {
    const double before = Secant(i - 1), after = Secant(i);
    if (!(before * after > 0.0)) return 0.0;
    const double w1 = 2.0 * Step(i) + Step(i - 1), w2 = Step(i) + 2.0 * Step(i - 1);
    return 1.0 / ((w1 / before + w2 / after) / (w1 + w2));
  }

  // Three-point estimate, limited so that the outer piece keeps its shape.
  static double EndSlope(double h0, double h1, double m0, double m1) {
    const double slope = ((2.0 * h0 + h1) * m0 - h0 * m1) / (h0 + h1);
    if (Sign(slope) != Sign(m0)) return 0.0;
    if (Sign(m0) != Sign(m1) && std::abs(slope) > 3.0 * std::abs(m0)) return 3.0 * m0;
    return slope;
  }

  static int Sign(double value) { return (value > 0.0) - (value < 0.0); }

  std::array<double, kMaxKnots> x_{}, y_{}, slopes_{};
  std::size_t size_ = 0;
};

}  // namespace automot::control
