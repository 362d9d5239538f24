// The context path: what moving, holding and reading snapshots costs, against what one would use
// instead, in interleaved rounds of one run.
//   tools/dev.sh bench context [--only PART]... [--json FILE]
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <set>
#include <stdexcept>

#include "tests/benchmark/comparison/report.h"
#include "tests/benchmark/context/bare_socket_roles.h"
#include "tests/benchmark/context/context_parts.h"
#include "tests/benchmark/context/lane_roles.h"
#include "tests/benchmark/context/plain_roles.h"
#include "tests/benchmark/context/planner_role.h"

namespace automot::benchmarks {
namespace {

using nlohmann::json;

struct Part {
  const char* name;
  void (*run)(const ContextFlags&, json*);
};
constexpr Part kParts[] = {
    {"lanes", RunLanes},         {"layer_streaming", RunLayerStreaming},
    {"integrity", RunIntegrity}, {"handle", RunHandle},
    {"plan", RunPlan},
};

// What a child process is.
struct Role {
  std::string name, lane, address;
  int core = 0;
};

int RunRole(const Role& role) {
  if (role.name == "producer") return RunProducer(role.lane);
  if (role.name == "consumer") return RunConsumer(role.lane, role.address);
  if (role.name == "in-process") return RunInProcess();
  if (role.name == "plain-server") return RunPlainServer();
  if (role.name == "plain-client") return RunPlainClient(role.address);
  if (role.name == "socket-server") return RunSocketServer();
  if (role.name == "socket-client") return RunSocketClient(role.address);
  if (role.name == "planner") return RunPlanner(role.address, role.core);
  throw std::runtime_error("no role \"" + role.name + "\"");
}

void PrintProvenance(const json& provenance) {
  for (const char* key : {"machine", "commit", "command", "load"}) {
    std::printf("%-8s %s\n", key, provenance.at(key).get<std::string>().c_str());
  }
}

int RunParts(const ContextFlags& flags, json result) {
  PrintProvenance(result.at("provenance"));
  for (const Part& part : kParts) {
    const bool wanted = flags.only.empty() || std::find(flags.only.begin(), flags.only.end(),
                                                        part.name) != flags.only.end();
    if (!wanted) continue;
    std::printf("\n%s\n", part.name);
    part.run(flags, &result);
  }
  if (!flags.json_file.empty()) std::ofstream(flags.json_file) << result.dump(2) << "\n";
  return 0;
}

int Main(int argc, char** argv) {
  ContextFlags flags;
  Role role;
  std::set<std::string> names;
  for (const Part& part : kParts) names.insert(part.name);
  CLI::App app("Measures the context path; prints ratios of one run");
  app.add_option("--only", flags.only, "parts to run; default: all")->check(CLI::IsMember(names));
  app.add_option("--json", flags.json_file, "file for the figures");
  app.add_option("--rounds", flags.lanes.rounds, "interleaved rounds")->check(CLI::Range(1, 1000));
  app.add_option("--snapshots", flags.lanes.snapshots, "snapshots of a lane's block")
      ->check(CLI::Range(1, 1000));
  app.add_option("--flight", flags.flight, "command of flight_peer.py");
  app.add_option("--role", role.name, "of a child process")->group("");
  app.add_option("--lane", role.lane, "of a child process")->group("");
  app.add_option("--address", role.address, "of a child process")->group("");
  app.add_option("--core", role.core, "of a child process")->group("");
  CLI11_PARSE(app, argc, argv);
  if (!role.name.empty()) return RunRole(role);
  return RunParts(flags, {{"provenance", Provenance(argc, argv)}});
}

}  // namespace
}  // namespace automot::benchmarks

int main(int argc, char** argv) {
  try {
    return automot::benchmarks::Main(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "automot-bench-context: %s\n", error.what());
    return 1;
  }
}
