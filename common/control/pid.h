// The published controller's PID: the integral is the mean of the last errors, the derivative their
// last difference (spec 5.2). Holds its window in place. Not thread-safe.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <numeric>

namespace automot::control {

struct PidGains {
  double proportional = 0.0;
  double integral = 0.0;
  double derivative = 0.0;
};

// How the window of past errors starts out.
enum class PidWindow { kEmpty, kZeros };

template <std::size_t kWindow>
class Pid {
 public:
  Pid(const PidGains& gains, PidWindow window) : gains_(gains), window_(window) { Reset(); }

  // Takes the newest error and returns the output. The derivative of the first error is 0 where the
  // window starts empty.
  double Step(double error) {
    const double difference = size_ > 0 ? error - errors_[newest_] : 0.0;
    newest_ = (newest_ + 1) % kWindow;
    errors_[newest_] = error;
    size_ = std::min(size_ + 1, kWindow);
    const double sum = std::accumulate(errors_.begin(), errors_.end(), 0.0);
    return gains_.proportional * error + gains_.integral * sum / static_cast<double>(size_) +
           gains_.derivative * difference;
  }

  void Reset() {
    errors_.fill(0.0);
    newest_ = kWindow - 1;
    size_ = window_ == PidWindow::kZeros ? kWindow : 0;
  }

 private:
  static_assert(kWindow >= 2);

  PidGains gains_;
  PidWindow window_;
  std::array<double, kWindow> errors_{};  // a ring; places that were never written are 0
  std::size_t newest_ = kWindow - 1;
  std::size_t size_ = 0;
};

}  // namespace automot::control
