// An eager implementation in Python (tests/benchmark/eager_*.py) as a child process that steps on
// demand.
#pragma once

#include <string>
#include <vector>

#include "tests/benchmark/comparison/child_process.h"
#include "tests/benchmark/comparison/interleaving.h"

namespace automot::benchmarks {

// Throws std::runtime_error where the child does not answer.
class EagerWorker {
 public:
  explicit EagerWorker(const std::vector<std::string>& command);

  std::vector<StepTime> Run(int steps);
  // Numbers of its first step that ours must agree with.
  const std::vector<double>& check() const { return check_; }
  // Which of its attentions is the fastest one here.
  const std::string& attention() const { return attention_; }

 private:
  ChildProcess child_;
  std::vector<double> check_;
  std::string attention_;
};

}  // namespace automot::benchmarks
