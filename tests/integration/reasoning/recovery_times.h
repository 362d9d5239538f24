// How long recoveries took. Printed, never judged by a test.
#pragma once

#include <algorithm>
#include <chrono>
#include <iostream>
#include <string>
#include <vector>

namespace automot {

class RecoveryTimes {
 public:
  using Clock = std::chrono::steady_clock;

  void Add(Clock::time_point since) {
    ms_.push_back(std::chrono::duration<double, std::milli>(Clock::now() - since).count());
  }
  // Requires one at least.
  void Print(const std::string& what) {
    std::ranges::sort(ms_);
    std::cout << what << ": " << ms_.size() << " recoveries, ms to the next snapshot: p50 "
              << ms_[ms_.size() / 2] << ", p99 " << ms_[ms_.size() * 99 / 100] << ", most "
              << ms_.back() << "\n";
  }

 private:
  std::vector<double> ms_;
};

}  // namespace automot
