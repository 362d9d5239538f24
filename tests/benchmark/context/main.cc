// The context path: what moving, holding and reading snapshots costs, against what one would use
// instead, in interleaved rounds of one run.
//   tools/dev.sh bench context [--only PART]... [--json FILE]
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <stdexcept>

#include "tests/benchmark/comparison/report.h"
#include "tests/benchmark/context/bench_snapshot.h"
#include "tests/benchmark/context/lane_figures.h"
#include "tests/benchmark/context/lane_roles.h"
#include "tests/benchmark/context/plain_roles.h"

namespace automot::benchmarks {
namespace {

using nlohmann::json;

struct Flags {
  std::vector<std::string> only;
  std::string json_file;
  LaneOptions lanes;
  // Of a child process.
  std::string role, lane, address;
};

constexpr double kLeastThroughputGain = 4.0;   // over plain protobuf
constexpr double kMostCoreSecondsPerGb = 0.4;  // both ends together

std::vector<std::string> Self(const std::vector<std::string>& arguments) {
  std::vector<std::string> command = {"/proc/self/exe"};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return command;
}

LanePair::Commands GrpcLane() {
  return {.name = "grpc_lane",
          .producer = Self({"--role=producer"}),
          .consumer = Self({"--role=consumer", "--lane=grpc", "--address="})};
}

LanePair::Commands InProcessLane() {
  return {.name = "in_process_lane", .consumer = Self({"--role=in-process"})};
}

LanePair::Commands PlainProtobuf() {
  return {.name = "plain_protobuf",
          .producer = Self({"--role=plain-server"}),
          .consumer = Self({"--role=plain-client", "--address="}),
          .request = {{"snapshot_bytes", kFullPublished.payload_bytes()}}};
}

// The piece size that suits the plain service best here, so that the comparison is with its best.
void ChoosePieceSize(LanePair& plain, json* result) {
  double best = 0;
  std::size_t chosen = 0;
  for (int repeat = 0; repeat < 2; ++repeat) {
    for (const std::size_t kib : {256, 1024, 4096}) {
      plain.Set("piece_bytes", kib << 10);
      const double gb_per_s = plain.Stream(2).gb_per_s();
      if (gb_per_s <= best) continue;
      best = gb_per_s;
      chosen = kib;
    }
  }
  plain.Set("piece_bytes", chosen << 10);
  (*result)["plain_protobuf"]["piece_kib"] = chosen;
  Say("plain_protobuf", "messages of " + std::to_string(chosen) + " KiB are its fastest here");
}

void RunLanes(const Flags& flags, json* result) {
  LanePair grpc(GrpcLane()), plain(PlainProtobuf()), in_process(InProcessLane());
  ChoosePieceSize(plain, result);
  const std::vector<LaneSeries> all = MeasureLanes({&grpc, &plain, &in_process}, flags.lanes);
  for (const LaneSeries& lane : all) ReportLane(lane, result);
  const std::string verdict = VerdictAtMost(all[0].core_s_per_gb, kMostCoreSecondsPerGb);
  (*result)["grpc_lane"]["core_s_per_gb_verdict"] = verdict;
  Say("grpc_lane", Number("at most %.2f core-s/GB: ", kMostCoreSecondsPerGb) + verdict);
  ReportAdvantage(all[0], all[1], kLeastThroughputGain, 0, result);
}

struct Part {
  const char* name;
  void (*run)(const Flags&, json*);
};
constexpr Part kParts[] = {{"lanes", RunLanes}};

int RunParts(const Flags& flags, json result) {
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

int RunRole(const Flags& flags) {
  if (flags.role == "producer") return RunProducer();
  if (flags.role == "consumer") return RunConsumer(flags.lane, flags.address);
  if (flags.role == "in-process") return RunInProcess();
  if (flags.role == "plain-server") return RunPlainServer();
  if (flags.role == "plain-client") return RunPlainClient(flags.address);
  throw std::runtime_error("no role \"" + flags.role + "\"");
}

int Main(int argc, char** argv) {
  Flags flags;
  CLI::App app("Measures the context path; prints ratios of one run");
  app.add_option("--only", flags.only, "parts to run; default: all")
      ->check(CLI::IsMember({"lanes"}));
  app.add_option("--json", flags.json_file, "file for the figures");
  app.add_option("--rounds", flags.lanes.rounds, "interleaved rounds")->check(CLI::Range(1, 1000));
  app.add_option("--snapshots", flags.lanes.snapshots, "snapshots of a lane's block")
      ->check(CLI::Range(1, 1000));
  app.add_option("--role", flags.role, "of a child process")->group("");
  app.add_option("--lane", flags.lane, "of a child process")->group("");
  app.add_option("--address", flags.address, "of a child process")->group("");
  CLI11_PARSE(app, argc, argv);
  if (!flags.role.empty()) return RunRole(flags);
  const json provenance = Provenance(argc, argv);
  std::printf("%s\ncommit %s, load %s\n%s\n", provenance.at("machine").get<std::string>().c_str(),
              provenance.at("commit").get<std::string>().c_str(),
              provenance.at("load").get<std::string>().c_str(),
              provenance.at("command").get<std::string>().c_str());
  return RunParts(flags, {{"provenance", provenance}});
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
