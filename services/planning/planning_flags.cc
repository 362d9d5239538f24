#include "services/planning/planning_flags.h"

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/concurrency/thread_placement.h"
#include "common/status/status_macros.h"

namespace automot::planning {
namespace {

constexpr int kCoresForOwnCore = 4;  // fewer are shared by everything
constexpr int kBatchOnGpu = 8, kBatchOnCpu = 4;

// auto, none, or a core's number.
absl::StatusOr<int> ParseCore(const std::string& text) {
  if (text == "none") return -1;
  if (text == "auto") {
    const int cores = AvailableCores();
    return cores >= kCoresForOwnCore ? cores - 1 : -1;
  }
  int core = -1;
  if (!absl::SimpleAtoi(text, &core) || core < 0 || core > 4095) {
    return absl::InvalidArgumentError(
        absl::StrCat("--planner-core is '", text, "'; it must be auto, none or 0 .. 4095"));
  }
  return core;
}

// Of the three values that the flag takes.
std::optional<context::ContextLayout::ElementType> ParseContextType(const std::string& text) {
  if (text == "fp8_e4m3") return context::ContextLayout::ElementType::kFloat8E4M3;
  if (text == "int8") return context::ContextLayout::ElementType::kInt8;
  return std::nullopt;
}

void AddSeconds(CLI::App& app, const char* name, absl::Duration& value, double low, double high,
                const char* text) {
  app.add_option_function<double>(
         name, [&value](double seconds) { value = absl::Seconds(seconds); },
         absl::StrCat(text, ", seconds [", absl::ToDoubleSeconds(value), "]"))
      ->check(CLI::Range(low, high));
}

void AddLaneFlags(CLI::App& app, PlanningProgramFlags& flags) {
  app.add_option("--reasoning-address", flags.lane.addresses,
                 "Reasoning services, comma-separated; dns:HOST:PORT stands for every address of a "
                 "name, as they come and go; each session keeps to one while it lives")
      ->delimiter(',')
      ->default_str("127.0.0.1:50052");
  app.add_option_function<std::string>(
         "--context-lane",
         [&flags](const std::string& lane) {
           if (lane == "grpc") flags.wanted_lane = context::Lane::kGrpc;
           if (lane == "shared_memory") flags.wanted_lane = context::Lane::kSharedMemory;
         },
         "How contexts come from the reasoning services: grpc, shared_memory, or auto "
         "(shared memory where a trial at start passes) [auto]")
      ->check(CLI::IsMember({"auto", "grpc", "shared_memory"}));
  app.add_option("--reasoning-tls-ca", flags.lane_tls.ca_file,
                 "PEM CA of the reasoning services; empty: plain text");
  app.add_option("--reasoning-tls-cert", flags.lane_tls.certificate_file,
                 "PEM certificate shown to the reasoning services");
  app.add_option("--reasoning-tls-key", flags.lane_tls.key_file, "Its PEM private key");
}

void AddQuotaFlags(CLI::App& app, rpc::ClientQuotaOptions& quotas) {
  app.add_option("--client-max-sessions", quotas.sessions,
                 "Sessions that one client may have open; 0: no limit of its own")
      ->check(CLI::Range(0, 65536))
      ->capture_default_str();
  app.add_option("--client-max-requests-per-second", quotas.requests_per_second,
                 "Requests of one client, each plan of a batch or stream one; 0: no limit")
      ->check(CLI::Range(0.0, 1e9))
      ->capture_default_str();
  app.add_option_function<double>(
         "--client-max-mib-per-second",
         [&quotas](double mib) { quotas.bytes_per_second = mib * static_cast<double>(1 << 20); },
         "Messages of one client, as they came; 0: no limit [0]")
      ->check(CLI::Range(0.0, 1e6));
}

}  // namespace

void AddPlanningFlags(CLI::App& app, PlanningFlags& flags) {
  flags.engine.loop.pinned_core = ParseCore("auto").value();
  app.add_option("--planner-threads", flags.expert.threads,
                 "Threads of one operation of the action expert")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_option_function<std::string>(
      "--planner-core",
      [&flags](const std::string& text) {
        const auto core = ParseCore(text);
        if (!core.ok()) throw CLI::ValidationError(std::string(core.status().message()));
        flags.engine.loop.pinned_core = *core;
      },
      "Core that the planning thread is pinned to: a number, none, or auto (the last one where "
      "there are at least 4) [auto]");
  app.add_option("--planner-max-batch", flags.max_batch,
                 "Plans of several vehicles in one run of the action expert at most, where that is "
                 "measured to save time; 0: 8 on a GPU, 4 on a CPU")
      ->check(CLI::Range(0, BatchCosts::kLargestBatch))
      ->capture_default_str();
  app.add_option("--max-sessions", flags.engine.session_limit, "Open sessions")
      ->check(CLI::Range(1, 65536))
      ->capture_default_str();
  app.add_option("--retained-versions", flags.engine.retained_versions,
                 "Snapshots kept per session")
      ->check(CLI::Range(2, 16))
      ->capture_default_str();
  app.add_option("--session-memory-mib", flags.session_memory_mib,
                 "Budget of one session's snapshots; 0: the process's alone")
      ->check(CLI::Range(0.0, 4194304.0))
      ->capture_default_str();
  app.add_option_function<std::string>(
         "--context-dtype",
         [&flags](const std::string& text) {
           flags.engine.context_element_type = ParseContextType(text);
         },
         "Element type in which contexts are asked of the reasoning side: native, fp8_e4m3 or int8 "
         "[native]")
      ->check(CLI::IsMember({"native", "fp8_e4m3", "int8"}));
  app.add_flag("--hide-contexts", flags.expert.hide_contexts,
               "For ablations: plans wait for their contexts and see nothing of them (CPU)");
  app.add_option("--queue-capacity", flags.engine.loop.queue_capacity,
                 "Plans accepted and not answered, parked ones included")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  AddQuotaFlags(app, flags.quotas);
  app.add_option_function<std::string>(
      "--session-key-file",
      [&flags](const std::string& path) {
        auto key = ReadSessionKey("--session-key-file", path);
        if (!key.ok()) throw CLI::ValidationError(std::string(key.status().message()));
        flags.engine.session_key = *std::move(key);
      },
      "Key, 32 to 4096 bytes, shared by the replicas that adopt each other's sessions; empty: none "
      "does");
  AddSeconds(app, "--session-lease-seconds", flags.engine.session_lease, 1, 86400,
             "Wall time without a request after which a session ends");
  AddSeconds(app, "--park-limit-seconds", flags.engine.park_limit, 0.1, 3600,
             "Wall time that a plan waits on purpose at most");
  AddRecordingFlags(app, flags.recording);
}

void ApplyShared(const ModelFlags& model, const ServerFlags& server, PlanningFlags& flags) {
  flags.expert.checkpoint = model.checkpoint;
  flags.expert.dtype = model.dtype;
  flags.expert.device = model.device;
  flags.expert.bidirectional_instruction = model.bidirectional_instruction;
  flags.expert.use_ema = model.use_ema;
  const int by_device = model.device.starts_with("cuda") ? kBatchOnGpu : kBatchOnCpu;
  flags.engine.loop.max_batch = model.reproducible    ? 1
                                : flags.max_batch > 0 ? flags.max_batch
                                                      : by_device;
  flags.engine.memory.process_bytes = server.snapshot_memory_bytes();
  flags.engine.memory.session_bytes =
      static_cast<std::size_t>(flags.session_memory_mib * static_cast<double>(1 << 20));
  flags.engine.client_session_limit = flags.quotas.sessions;
  // Leases are compared for equality alone, so a clock that was set back in between does no harm:
  // two processes would have to start within as many microseconds as the former gave leases.
  flags.engine.first_lease = static_cast<uint64_t>(absl::ToUnixMicros(absl::Now()));
  flags.server.limits.connections = server.connections;
  flags.server.limits.transport_memory_bytes = server.transport_memory_bytes();
  flags.server.tls = server.tls;
  flags.server.drain_deadline = server.drain();
}

absl::StatusOr<PlanningProgramFlags> ParsePlanningFlags(
    int argc, char** argv, const std::function<void(CLI::App&)>& add_more) {
  PlanningProgramFlags flags;
  ModelFlags model;
  CLI::App app{"Answers trajectory requests at high rate and never waits for the slow path."};
  AddModelFlags(app, model);
  app.add_option("--address", flags.planning.server.address, "Where to listen; port 0 picks one")
      ->capture_default_str();
  AddLaneFlags(app, flags);
  AddPlanningFlags(app, flags.planning);
  AddServerFlags(app, flags.shared);
  if (add_more != nullptr) add_more(app);
  AUTOMOT_RETURN_IF_ERROR(ParseFlags(app, argc, argv));
  if (flags.lane.addresses.empty()) flags.lane.addresses = {"127.0.0.1:50052"};
  ApplyShared(model, flags.shared, flags.planning);
  flags.lane.session_limit = flags.planning.engine.session_limit;
  flags.lane.pool.byte_budget = flags.shared.snapshot_memory_bytes();
  return flags;
}

}  // namespace automot::planning
