#include "common/runtime/program_flags.h"

#include <algorithm>
#include <cstdlib>

#include "absl/strings/str_cat.h"

namespace automot {

void AddModelFlags(CLI::App& app, ModelFlags& flags) {
  app.add_option("--checkpoint", flags.checkpoint, "Checkpoint directory")->required();
  app.add_option("--dtype", flags.dtype, "Arithmetic of the model: float32 or bfloat16")
      ->check(CLI::IsMember({"float32", "bfloat16"}))
      ->capture_default_str();
  app.add_option("--device", flags.device, "cpu, cuda or cuda:N")->capture_default_str();
  app.add_option_function<std::string>(
         "--instruction-mask",
         [&flags](const std::string& mask) {
           flags.bidirectional_instruction = mask == "bidirectional";
         },
         "Attention within the instruction: causal as published inference, bidirectional as "
         "published training [causal]")
      ->check(CLI::IsMember({"causal", "bidirectional"}));
  app.add_flag("--use-ema", flags.use_ema, "Take weights from ema.safetensors");
  app.add_flag("--reproducible", flags.reproducible,
               "Each vehicle by itself: its answers are the same bits whatever else is served");
}

void AddServerFlags(CLI::App& app, ServerFlags& flags) {
  app.add_option("--metrics-address", flags.metrics_address,
                 "Where to serve Prometheus metrics; empty serves none")
      ->capture_default_str();
  app.add_flag("--insecure", flags.tls.insecure, "Allow plain text beyond loopback");
  app.add_option("--tls-cert", flags.tls.certificate_file, "PEM certificate chain");
  app.add_option("--tls-key", flags.tls.key_file, "PEM private key");
  app.add_option("--tls-client-ca", flags.tls.client_ca_file,
                 "PEM CA that must have signed clients' certificates");
  app.add_option("--tls-allowed-client", flags.tls.allowed_clients,
                 "Name let in, or Method=name for one method; repeatable");
  app.add_option("--drain-seconds", flags.drain_s, "How long work and subscribers may take to end")
      ->check(CLI::Range(0.0, 3600.0))
      ->capture_default_str();
  app.add_option("--snapshot-memory-gib", flags.snapshot_memory_gib, "Budget of snapshot buffers")
      ->check(CLI::Range(0.01, 4096.0))
      ->capture_default_str();
  app.add_option("--transport-memory-mib", flags.transport_memory_mib,
                 "What all connections of a service may hold of messages not yet complete")
      ->check(CLI::Range(16, 1 << 20))
      ->capture_default_str();
  app.add_option_function<uint32_t>(
         "--max-connections",
         [&flags](uint32_t all) { flags.connections = {all, std::max(all / 2, 1U)}; },
         absl::StrCat("Connections that a service keeps open, of one host at most half of them [",
                      flags.connections.all, "]"))
      ->check(CLI::Range(1, 1 << 20));
  app.add_option("--log-level", flags.log_level, "Lowest level that is logged")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}))
      ->capture_default_str();
}

absl::Status ParseFlags(CLI::App& app, int argc, char** argv) {
  app.set_config("--config", "", "Flags from a TOML or INI file");
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp& help) {
    std::exit(app.exit(help));
  } catch (const CLI::ParseError& error) {
    return absl::InvalidArgumentError(error.what());
  }
  return absl::OkStatus();
}

}  // namespace automot
