// Lanes, layer streaming and integrity: what is measured between processes.
#include <filesystem>
#include <memory>

#include "common/context/snapshot_manifest.h"
#include "tests/benchmark/comparison/report.h"
#include "tests/benchmark/context/bench_snapshot.h"
#include "tests/benchmark/context/context_parts.h"

namespace automot::benchmarks {
namespace {

using nlohmann::json;

constexpr double kLeastThroughputGain = 4.0;   // over plain protobuf
constexpr double kLeastFlightCpuGain = 2.0;    // over Arrow Flight
constexpr double kMostCoreSecondsPerGb = 0.4;  // both ends together
constexpr double kLeastSooner = 3.0;           // shared memory after gRPC
constexpr double kMostIntegrityShare = 0.25;
constexpr double kLeastHidden = 0.95;

std::vector<std::string> Program(const std::string& path,
                                 const std::vector<std::string>& arguments) {
  std::vector<std::string> command = {path};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return command;
}

std::string Self() { return std::filesystem::read_symlink("/proc/self/exe").string(); }

// Between two processes, through the product's own code.
LanePair::Commands ProductLane(const std::string& name, const std::string& lane,
                               const std::string& program) {
  return {.name = name,
          .producer = Program(program, {"--role=producer", "--lane=" + lane}),
          .consumer = Program(program, {"--role=consumer", "--lane=" + lane, "--address="})};
}
LanePair::Commands GrpcLane(const std::string& name, const std::string& program) {
  return ProductLane(name, "grpc", program);
}

LanePair::Commands InProcessLane() {
  return {.name = "in_process_lane", .consumer = Program(Self(), {"--role=in-process"})};
}

LanePair::Commands PlainProtobuf(const std::string& name) {
  return {.name = name,
          .producer = Program(Self(), {"--role=plain-server"}),
          .consumer = Program(Self(), {"--role=plain-client", "--address="}),
          .request = {{"snapshot_bytes", kFullPublished.payload_bytes()},
                      {"piece_bytes", context::kDefaultChunkBytes}}};
}

LanePair::Commands BareSocket() {
  return {.name = "bare_socket",
          .producer = Program(Self(), {"--role=socket-server"}),
          .consumer = Program(Self(), {"--role=socket-client", "--address="})};
}

LanePair::Commands ArrowFlight(const std::vector<std::string>& peer) {
  LanePair::Commands commands{.name = "arrow_flight",
                              .producer = peer,
                              .consumer = peer,
                              .request = {{"snapshot_bytes", kFullPublished.payload_bytes()}}};
  commands.producer.push_back("server");
  commands.consumer.insert(commands.consumer.end(), {"client", ""});
  return commands;
}

// The message size that suits a peer best here, by the median of some streams of each, so that the
// comparison is with its best.
void ChoosePieceSize(LanePair& peer, json* result) {
  double best = 0;
  std::size_t chosen = 0;
  json sizes = json::array();
  for (const std::size_t kib : {256, 1024, 4096}) {
    peer.Set("piece_bytes", kib << 10);
    std::vector<double> gb_per_s, core_s_per_gb;
    for (int repeat = 0; repeat < 5; ++repeat) {
      peer.Restart();
      peer.Stream(2);
      const Delivery stream = peer.Stream(3);
      gb_per_s.push_back(stream.gb_per_s());
      core_s_per_gb.push_back(stream.core_s_per_gb());
    }
    sizes.push_back({{"piece_kib", kib},
                     {"gb_per_s", Median(gb_per_s)},
                     {"core_s_per_gb", Median(core_s_per_gb)}});
    Say(peer.name(), Number("messages of %4.0f KiB: ", static_cast<double>(kib)) +
                         Number("%.2f GB/s  ", Median(gb_per_s)) +
                         Number("%.3f core-s/GB", Median(core_s_per_gb)));
    if (Median(gb_per_s) <= best) continue;
    best = Median(gb_per_s);
    chosen = kib;
  }
  peer.Set("piece_bytes", chosen << 10);
  (*result)["piece_sizes"][peer.name()] = {{"tried", sizes}, {"chosen_kib", chosen}};
}

void ReportLimits(const std::vector<LaneSeries>& all, json* result) {
  const LaneSeries& grpc = all[0];
  const std::string verdict = VerdictAtMost(grpc.core_s_per_gb, kMostCoreSecondsPerGb);
  (*result)["grpc_lane"]["core_s_per_gb_verdict"] = verdict;
  Say("grpc_lane", Number("at most %.2f core-s/GB: ", kMostCoreSecondsPerGb) + verdict);
  for (const LaneSeries& other : all) {
    if (other.name == "shm_lane") {
      ReportSooner(other, grpc, kLeastSooner, result);
      (*result)["shm_lane"]["copies_on_planner"] = Median(other.copies);
      Say("shm_lane", Number("%.0f copies on the planner", Median(other.copies)));
    } else if (other.name == "plain_protobuf" || other.name == "plain_protobuf_best") {
      ReportAdvantage(grpc, other, kLeastThroughputGain, 0, result);
    } else if (other.name == "arrow_flight") {
      ReportAdvantage(grpc, other, 1.0, kLeastFlightCpuGain, result);
    } else if (other.name == "bare_socket") {
      ReportAdvantage(grpc, other, 0, 0, result);
    }
  }
}

// One ratio per round of two series.
std::vector<double> SharesOf(const std::vector<double>& part, const std::vector<double>& whole) {
  std::vector<double> shares;
  for (std::size_t i = 0; i < part.size(); ++i) shares.push_back(1 - part[i] / whole[i]);
  return shares;
}

json SpreadJson(const std::vector<double>& values) {
  json spread = ToJson(SpreadOf(values));
  spread["rounds"] = values;
  return spread;
}

}  // namespace

void RunLanes(const ContextFlags& flags, json* result) {
  LanePair grpc(GrpcLane("grpc_lane", Self())), bare(BareSocket()), in_process(InProcessLane());
  // Messages of our chunk's size, and of the size that suits it best.
  LanePair plain(PlainProtobuf("plain_protobuf")), best(PlainProtobuf("plain_protobuf_best"));
  LanePair shared(ProductLane("shm_lane", "shared_memory", Self()));
  std::vector<LanePair*> pairs = {&grpc, &shared, &plain, &best, &bare, &in_process};
  ChoosePieceSize(best, result);
  std::unique_ptr<LanePair> flight;
  if (flags.flight.empty()) {
    (*result)["absent"]["arrow_flight"] = "no --flight: tools/dev.sh bench context installs it";
    Say("arrow_flight", "absent: no --flight (tools/dev.sh bench context installs it)");
  } else {
    flight = std::make_unique<LanePair>(ArrowFlight(flags.flight));
    ChoosePieceSize(*flight, result);
    pairs.push_back(flight.get());
  }
  const std::vector<LaneSeries> all = MeasureLanes(pairs, flags.lanes);
  for (const LaneSeries& lane : all) ReportLane(lane, result);
  ReportLimits(all, result);
}

void RunLayerStreaming(const ContextFlags& flags, json* result) {
  LanePair lane(GrpcLane("grpc_lane", Self()));
  lane.OneByOne(4);
  std::vector<double> transfer_ms, exposed_ms, layer_ms;
  for (int round = 0; round < flags.lanes.rounds; ++round) {
    lane.SetLayerTime(0);
    transfer_ms.push_back(Median(lane.OneByOne(4).visible_ms));
    // Three times what a layer's transfer takes.
    layer_ms.push_back(3 * Median(transfer_ms) / kFullPublished.layers);
    lane.SetLayerTime(static_cast<int64_t>(1e3 * layer_ms.back()));
    exposed_ms.push_back(Median(lane.OneByOne(4).visible_ms));
  }
  const std::vector<double> hidden = SharesOf(exposed_ms, transfer_ms);
  const std::string verdict = Verdict(SpreadOf(hidden), kLeastHidden);
  (*result)["layer_streaming"] = {{"transfer_ms", SpreadJson(transfer_ms)},
                                  {"exposed_ms", SpreadJson(exposed_ms)},
                                  {"layer_ms", SpreadJson(layer_ms)},
                                  {"hidden", SpreadJson(hidden)},
                                  {"limit", kLeastHidden},
                                  {"verdict", verdict}};
  Say("whole snapshot at once", Number("%.2f ms", Median(transfer_ms)));
  Say("after the last layer", Number("%.2f ms", Median(exposed_ms)) +
                                  Number(" where a layer takes %.1f ms", Median(layer_ms)));
  Say("hidden", Number("%.1f %%   at least ", 100 * Median(hidden)) +
                    Number("%.0f %%: ", 100 * kLeastHidden) + verdict);
}

void RunIntegrity(const ContextFlags& flags, json* result) {
  LanePair hashed(GrpcLane("with hashes", Self()));
  LanePair unhashed(GrpcLane("without hashes", Self() + "-unhashed"));
  const std::vector<LaneSeries> all = MeasureLanes({&hashed, &unhashed}, flags.lanes);
  const std::vector<double> share = SharesOf(all[1].core_s_per_gb, all[0].core_s_per_gb);
  const std::string verdict = VerdictAtMost(share, kMostIntegrityShare);
  (*result)["integrity"] = {{"share", SpreadJson(share)},
                            {"core_s_per_gb", SpreadJson(all[0].core_s_per_gb)},
                            {"core_s_per_gb_without", SpreadJson(all[1].core_s_per_gb)},
                            {"limit", kMostIntegrityShare},
                            {"verdict", verdict}};
  Say("with hashes", Number("%.4f core-s/GB", Median(all[0].core_s_per_gb)));
  Say("without hashes", Number("%.4f core-s/GB", Median(all[1].core_s_per_gb)));
  Say("integrity", Number("%.1f %% ", 100 * Median(share)) +
                       Number("[%.1f, ", 100 * SpreadOf(share).low) +
                       Number("%.1f]   at most ", 100 * SpreadOf(share).high) +
                       Number("%.0f %%: ", 100 * kMostIntegrityShare) + verdict);
}

}  // namespace automot::benchmarks
