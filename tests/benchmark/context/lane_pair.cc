#include "tests/benchmark/context/lane_pair.h"

#include <utility>

namespace automot::benchmarks {

using nlohmann::json;

LanePair::LanePair(Commands commands) : commands_(std::move(commands)) { Restart(); }

void LanePair::Restart() {
  consumer_.reset();
  producer_.reset();
  std::vector<std::string> consumer = commands_.consumer;
  if (!commands_.producer.empty()) {
    producer_ = std::make_unique<ChildProcess>(commands_.producer);
    consumer.back() += producer_->Read().at("address").get<std::string>();
  }
  consumer_ = std::make_unique<ChildProcess>(consumer);
  consumer_->Read();
}

void LanePair::SetLayerTime(int64_t layer_us) {
  (producer_ != nullptr ? producer_ : consumer_)->Ask({{"layer_us", layer_us}});
}

LanePair::Sum LanePair::Both() {
  Sum sum;
  for (ChildProcess* child : {consumer_.get(), producer_.get()}) {
    if (child == nullptr) continue;
    const json answer = child->Ask(json::object());
    sum.cpu_s += answer.at("cpu_s").get<double>();
    sum.buffers += answer.value("buffers", 0);
  }
  return sum;
}

Delivery LanePair::Run(int snapshots, int ahead) {
  json request = commands_.request;
  request["snapshots"] = snapshots;
  request["ahead"] = ahead;
  const Sum before = Both();
  const json answer = consumer_->Ask(request);
  const Sum after = Both();
  return {.gigabytes = 1e-9 * answer.at("bytes").get<double>(),
          .wall_s = answer.at("wall_s"),
          .cpu_s = after.cpu_s - before.cpu_s,
          .grew = after.buffers > before.buffers,
          .copies = answer.value("bytes_copied", 0.0) / answer.at("bytes").get<double>(),
          .visible_ms = answer.at("visible_ms").get<std::vector<double>>()};
}

}  // namespace automot::benchmarks
