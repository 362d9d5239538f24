#include "tests/benchmark/context/planner_role.h"

#include <stdexcept>
#include <utility>

#include "common/rpc/snapshot_transport.h"
#include "nlohmann/json.hpp"
#include "services/planning/lane/grpc_snapshot_channel.h"
#include "tests/benchmark/comparison/child_process.h"
#include "tests/benchmark/context/planner_bench.h"

namespace automot::benchmarks {
namespace {

using nlohmann::json;

PlannerArm ArmOf(const std::string& name) {
  if (name == "none") return PlannerArm::kNone;
  if (name == "publishes") return PlannerArm::kPublishes;
  if (name == "transfer") return PlannerArm::kTransfer;
  throw std::runtime_error("no arm \"" + name + "\"");
}

}  // namespace

int RunPlanner(const std::string& address, int core) {
  rpc::PrepareProcessForSnapshots();
  planning::GrpcSnapshotChannelOptions options;
  options.addresses = {address};
  options.ping_timeout = absl::Minutes(1);  // a process kept waiting is no frozen peer
  auto channel = planning::GrpcSnapshotChannel::Create(std::move(options));
  if (!channel.ok()) throw std::runtime_error(std::string(channel.status().message()));
  PlannerBench bench(*std::move(channel), core);
  AnswerParent(json::object(), [&](const json& request) -> json {
    const TickTimes times = bench.Run(ArmOf(request.at("arm")), request.at("ticks"));
    return {{"latency_us", times.latency_us},   {"tick_us", times.tick_us},
            {"tick_cpu_us", times.tick_cpu_us}, {"published", times.published},
            {"arrived", times.arrived},         {"fallbacks", times.fallbacks}};
  });
  return 0;
}

}  // namespace automot::benchmarks
