// The two ends of one way to move snapshots, as child processes, and what a run through them costs.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "nlohmann/json.hpp"
#include "tests/benchmark/comparison/child_process.h"

namespace automot::benchmarks {

struct Delivery {
  double gigabytes = 0;  // 10^9 bytes
  double wall_s = 0;
  double cpu_s = 0;                // both ends, user and system
  bool grew = false;               // the producer's pool: mapping and filling are in the times
  double copies = 0;               // of each byte, by our receiver
  std::vector<double> visible_ms;  // of each snapshot

  double gb_per_s() const { return gigabytes / wall_s; }
  double core_s_per_gb() const { return cpu_s / gigabytes; }
};

class LanePair {
 public:
  struct Commands {
    std::string name;
    std::vector<std::string> producer;  // empty: one process is both
    std::vector<std::string> consumer;  // its last word is completed by the producer's address
    nlohmann::json request;             // what every request to the consumer holds
  };

  explicit LanePair(Commands commands);

  const std::string& name() const { return commands_.name; }
  // Ends both processes and starts others: what they owe to the luck of their memory layout is
  // drawn anew.
  void Restart();
  // Changes what every request holds.
  void Set(const std::string& key, const nlohmann::json& value) { commands_.request[key] = value; }
  // Time per layer at the producer.
  void SetLayerTime(int64_t layer_us);
  // Snapshots one after the other as fast as they go.
  Delivery Stream(int snapshots) { return Run(snapshots, 3); }
  // Each made when the one before is visible.
  Delivery OneByOne(int snapshots) { return Run(snapshots, 1); }

 private:
  Delivery Run(int snapshots, int ahead);
  struct Sum {
    double cpu_s = 0;
    int buffers = 0;
  };
  Sum Both();

  Commands commands_;
  std::unique_ptr<ChildProcess> producer_;  // may be null
  std::unique_ptr<ChildProcess> consumer_;
};

}  // namespace automot::benchmarks
