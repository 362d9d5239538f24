#include "tests/benchmark/comparison/eager_worker.h"

namespace automot::benchmarks {

EagerWorker::EagerWorker(const std::vector<std::string>& command) : child_(command) {
  const nlohmann::json ready = child_.Read();
  check_ = ready.at("check").get<std::vector<double>>();
  attention_ = ready.at("attention").get<std::string>();
}

std::vector<StepTime> EagerWorker::Run(int steps) {
  std::vector<StepTime> times;
  for (const auto& step : child_.Ask(steps)) times.push_back({step.at(0), step.at(1)});
  return times;
}

}  // namespace automot::benchmarks
