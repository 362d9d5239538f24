#include "services/reasoning/reasoning_flags.h"

#include <CLI/CLI.hpp>
#include <cstdlib>

namespace automot::reasoning {
namespace {

// What the flags fill before it becomes options.
struct Raw {
  std::string publish_decisions = "on";
  std::string instruction_mask = "causal";
  double drain_s = 20.0;
  double pool_gib = 8.0;
};

void AddModelFlags(CLI::App& app, ReasoningFlags& flags, Raw& raw) {
  app.add_option("--checkpoint", flags.expert.checkpoint, "Checkpoint directory")->required();
  app.add_option("--dtype", flags.expert.dtype, "Arithmetic of the model")
      ->check(CLI::IsMember({"float32", "bfloat16"}))
      ->capture_default_str();
  app.add_option("--device", flags.expert.device, "cpu, cuda or cuda:N")->capture_default_str();
  app.add_option("--threads", flags.expert.threads,
                 "Threads of one operation; 0 takes all cores but one")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  app.add_option("--publish-decisions", raw.publish_decisions,
                 "Decode a decision with each snapshot; off saves its weights")
      ->check(CLI::IsMember({"on", "off"}))
      ->capture_default_str();
  app.add_option("--instruction-mask", raw.instruction_mask,
                 "Attention within the instruction: causal as published inference, bidirectional "
                 "as published training")
      ->check(CLI::IsMember({"causal", "bidirectional"}))
      ->capture_default_str();
  app.add_flag("--use-ema", flags.expert.use_ema, "Take weights from ema.safetensors");
}

void AddServerFlags(CLI::App& app, ReasoningFlags& flags, Raw& raw) {
  app.add_option("--address", flags.server.address, "Where to listen; port 0 picks one")
      ->capture_default_str();
  app.add_option("--metrics-address", flags.metrics_address,
                 "Where to serve metrics; empty serves none")
      ->capture_default_str();
  app.add_flag("--insecure", flags.server.tls.insecure, "Allow plain text beyond loopback");
  app.add_option("--tls-cert", flags.server.tls.certificate_file, "PEM certificate chain");
  app.add_option("--tls-key", flags.server.tls.key_file, "PEM private key");
  app.add_option("--tls-client-ca", flags.server.tls.client_ca_file,
                 "PEM CA that must have signed clients' certificates");
  app.add_option("--tls-allowed-client", flags.server.tls.allowed_clients,
                 "Name let in, or Method=name for one method; repeatable");
  app.add_option("--max-sessions", flags.engine.limits.sessions, "Attached sessions")
      ->check(CLI::Range(1, 65536))
      ->capture_default_str();
  app.add_option("--max-message-bytes", flags.server.max_message_bytes, "Largest request")
      ->check(CLI::Range(1 << 16, 1 << 30))
      ->capture_default_str();
  app.add_option("--snapshot-memory-gib", raw.pool_gib, "Budget of snapshot buffers")
      ->check(CLI::Range(0.01, 4096.0))
      ->capture_default_str();
  app.add_option("--drain-seconds", raw.drain_s, "How long subscribers may take to leave")
      ->check(CLI::Range(0.0, 3600.0))
      ->capture_default_str();
}

}  // namespace

absl::StatusOr<ReasoningFlags> ParseReasoningFlags(int argc, char** argv) {
  ReasoningFlags flags;
  Raw raw;
  CLI::App app{"Runs the understanding expert for many vehicles and streams context snapshots."};
  app.set_config("--config", "", "Flags from a TOML or INI file");
  AddModelFlags(app, flags, raw);
  AddServerFlags(app, flags, raw);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp& help) {
    std::exit(app.exit(help));
  } catch (const CLI::ParseError& error) {
    return absl::InvalidArgumentError(error.what());
  }
  flags.expert.publish_decisions = raw.publish_decisions == "on";
  flags.expert.bidirectional_instruction = raw.instruction_mask == "bidirectional";
  flags.engine.worker.publish_decisions = flags.expert.publish_decisions;
  flags.engine.pool.byte_budget =
      static_cast<std::size_t>(raw.pool_gib * static_cast<double>(std::size_t{1} << 30));
  flags.server.drain_deadline = absl::Seconds(raw.drain_s);
  return flags;
}

}  // namespace automot::reasoning
