#include "services/reasoning/reasoning_flags.h"

#include "common/status/status_macros.h"

namespace automot::reasoning {

namespace {

constexpr int kBatchOnGpu = 4;

}  // namespace

void AddReasoningFlags(CLI::App& app, ReasoningFlags& flags) {
  app.add_option("--reasoning-threads", flags.expert.threads,
                 "Threads of one operation of the understanding expert; 0 takes all cores but one")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  app.add_option_function<std::string>(
         "--publish-decisions",
         [&flags](const std::string& value) { flags.expert.publish_decisions = value == "on"; },
         "Decode a decision with each snapshot; off saves its weights [on]")
      ->check(CLI::IsMember({"on", "off"}));
  app.add_option_function<std::string>(
         "--layer-streaming",
         [&flags](const std::string& value) {
           flags.server.layer_streaming = value == "on"    ? LayerStreaming::Setting::kOn
                                          : value == "off" ? LayerStreaming::Setting::kOff
                                                           : LayerStreaming::Setting::kAuto;
         },
         "Send a layer as soon as it is computed: on, off, or auto, whichever is measured to "
         "complete snapshots sooner [auto]")
      ->check(CLI::IsMember({"auto", "on", "off"}));
  app.add_option("--refresh-batch", flags.refresh_batch,
                 "Refreshes of several vehicles in one run of the expert at most, where that is "
                 "measured to save time; 0: 4 on a GPU, 1 on a CPU")
      ->check(CLI::Range(0, 16))
      ->capture_default_str();
  app.add_option("--max-refresh-load", flags.engine.max_refresh_load,
                 "Part of the expert's time that the declared rates of all sessions may ask for; "
                 "0: no limit, and too many sessions are all refreshed less often")
      ->check(CLI::Range(0.0, 100.0))
      ->capture_default_str();
  app.add_option("--max-attached-sessions", flags.engine.limits.sessions,
                 "Sessions that planning services may attach")
      ->check(CLI::Range(1, 65536))
      ->capture_default_str();
  app.add_option(
         "--shared-memory-socket", flags.shared_memory_socket,
         "Unix socket of the shared-memory lane: a path, auto (in a private folder), or off")
      ->capture_default_str();
  app.add_option("--shared-memory-user", flags.server.shared_memory.allowed_users,
                 "User id let in at that socket beside this process's own; repeatable");
  app.add_option("--shared-memory-snapshots", flags.server.shared_memory.limits.snapshots,
                 "Snapshots in shared memory that one session's consumer may hold")
      ->check(CLI::Range(3, 1024))
      ->capture_default_str();
  app.add_option("--max-message-bytes", flags.server.connections.max_message_bytes,
                 "Largest request")
      ->check(CLI::Range(1 << 16, 1 << 30))
      ->capture_default_str();
}

void ApplyShared(const ModelFlags& model, const ServerFlags& server, ReasoningFlags& flags) {
  flags.expert.checkpoint = model.checkpoint;
  flags.expert.dtype = model.dtype;
  flags.expert.device = model.device;
  flags.expert.bidirectional_instruction = model.bidirectional_instruction;
  flags.expert.use_ema = model.use_ema;
  flags.engine.worker.publish_decisions = flags.expert.publish_decisions;
  const bool on_gpu = model.device.starts_with("cuda");
  const int wanted = flags.refresh_batch > 0 ? flags.refresh_batch : (on_gpu ? kBatchOnGpu : 1);
  flags.engine.worker.max_batch = model.reproducible ? 1 : wanted;
  flags.engine.pool.byte_budget = server.snapshot_memory_bytes();
  flags.server.connections.connections = server.connections;
  flags.server.connections.transport_memory_bytes = server.transport_memory_bytes();
  flags.server.tls = server.tls;
  flags.server.drain_deadline = server.drain();
}

absl::StatusOr<ReasoningProgramFlags> ParseReasoningFlags(int argc, char** argv) {
  ReasoningProgramFlags flags;
  ModelFlags model;
  flags.shared.metrics_address = "127.0.0.1:9465";  // beside a planning service with its default
  CLI::App app{"Runs the understanding expert for many vehicles and streams context snapshots."};
  AddModelFlags(app, model);
  app.add_option("--address", flags.reasoning.server.address, "Where to listen; port 0 picks one")
      ->capture_default_str();
  AddReasoningFlags(app, flags.reasoning);
  AddServerFlags(app, flags.shared);
  app.add_option("--chaos", flags.reasoning.server.chaos_seed,
                 "Damage, delay and end snapshot streams on purpose, drawn from this seed")
      ->group("");  // for tests and the demo: not in the help
  AUTOMOT_RETURN_IF_ERROR(ParseFlags(app, argc, argv));
  ApplyShared(model, flags.shared, flags.reasoning);
  // What is read where it lies has no messages to damage.
  if (flags.reasoning.server.chaos_seed) flags.reasoning.shared_memory_socket = "off";
  return flags;
}

}  // namespace automot::reasoning
