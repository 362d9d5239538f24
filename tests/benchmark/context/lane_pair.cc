#include "tests/benchmark/context/lane_pair.h"

namespace automot::benchmarks {

using nlohmann::json;

LanePair::LanePair(const Commands& commands) : name_(commands.name), request_(commands.request) {
  std::vector<std::string> consumer = commands.consumer;
  if (!commands.producer.empty()) {
    producer_ = std::make_unique<ChildProcess>(commands.producer);
    consumer.back() += producer_->Read().at("address").get<std::string>();
  }
  consumer_ = std::make_unique<ChildProcess>(consumer);
  consumer_->Read();
}

void LanePair::SetLayerTime(int64_t layer_us) {
  (producer_ != nullptr ? producer_ : consumer_)->Ask({{"layer_us", layer_us}});
}

double LanePair::CpuSeconds() {
  double seconds = consumer_->Ask(json::object()).at("cpu_s");
  if (producer_ != nullptr) seconds += producer_->Ask(json::object()).at("cpu_s").get<double>();
  return seconds;
}

Delivery LanePair::Run(int snapshots, int ahead) {
  json request = request_;
  request["snapshots"] = snapshots;
  request["ahead"] = ahead;
  const double cpu_s = CpuSeconds();
  const json answer = consumer_->Ask(request);
  return {.gigabytes = 1e-9 * answer.at("bytes").get<double>(),
          .wall_s = answer.at("wall_s"),
          .cpu_s = CpuSeconds() - cpu_s,
          .visible_ms = answer.at("visible_ms").get<std::vector<double>>()};
}

}  // namespace automot::benchmarks
