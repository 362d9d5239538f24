// tests/benchmark/eager_action_expert.py as a child process that steps on demand.
#pragma once

#include <sys/types.h>

#include <cstdio>
#include <string>
#include <vector>

#include "tests/benchmark/action/interleaving.h"

namespace automot::benchmarks {

// Ends the child when destroyed. Throws std::runtime_error where the child does not answer.
class EagerWorker {
 public:
  explicit EagerWorker(const std::vector<std::string>& command);
  ~EagerWorker();
  EagerWorker(const EagerWorker&) = delete;
  EagerWorker& operator=(const EagerWorker&) = delete;

  std::vector<StepTime> Run(int steps);
  // Of its first step: [waypoints * 2], metres.
  const std::vector<double>& waypoints() const { return waypoints_; }
  // Which of its two attentions is the faster one here: fused | plain.
  const std::string& attention() const { return attention_; }

 private:
  nlohmann::json ReadLine();

  pid_t child_ = -1;
  FILE* to_child_ = nullptr;
  FILE* from_child_ = nullptr;
  std::vector<double> waypoints_;
  std::string attention_;
};

}  // namespace automot::benchmarks
