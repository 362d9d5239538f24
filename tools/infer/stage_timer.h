// Says on stderr how long a stage took, for --timings.
#pragma once

#include <chrono>
#include <cstdio>

namespace automot::infer {

// Wall time from construction to destruction.
class StageTimer {
 public:
  StageTimer(bool on, const char* stage)
      : on_(on), stage_(stage), begin_(std::chrono::steady_clock::now()) {}
  ~StageTimer() {
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin_;
    if (on_) std::fprintf(stderr, "automot-infer: time: %s %.3f s\n", stage_, took.count());
  }
  StageTimer(const StageTimer&) = delete;
  StageTimer& operator=(const StageTimer&) = delete;

 private:
  const bool on_;
  const char* const stage_;
  const std::chrono::steady_clock::time_point begin_;
};

}  // namespace automot::infer
