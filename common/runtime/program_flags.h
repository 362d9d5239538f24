// Flags that every service program takes, spelled the same everywhere.
#pragma once

#include <CLI/CLI.hpp>
#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/rpc/connection_table.h"
#include "common/rpc/credentials.h"

namespace automot {

struct ModelFlags {
  std::string checkpoint;
  std::string dtype = "float32";
  std::string device = "cpu";
  bool bidirectional_instruction = false;
  bool use_ema = false;
  bool reproducible = false;
};

struct ServerFlags {
  std::string metrics_address = "127.0.0.1:9464";
  rpc::TlsOptions tls;
  double drain_s = 20.0;
  double snapshot_memory_gib = 8.0;
  int transport_memory_mib = 1024;
  rpc::ConnectionLimits connections;
  std::string log_level = "info";

  absl::Duration drain() const { return absl::Seconds(drain_s); }
  std::size_t snapshot_memory_bytes() const {
    return static_cast<std::size_t>(snapshot_memory_gib *
                                    static_cast<double>(std::size_t{1} << 30));
  }
  std::size_t transport_memory_bytes() const {
    return static_cast<std::size_t>(transport_memory_mib) << 20;
  }
};

// The structs outlive the parse; what the flags leave out keeps its value.
void AddModelFlags(CLI::App& app, ModelFlags& flags);
void AddServerFlags(CLI::App& app, ServerFlags& flags);

// Parses, with --config FILE (TOML or INI) among the flags. Prints help and exits where asked to.
// INVALID_ARGUMENT in one line naming the flag.
absl::Status ParseFlags(CLI::App& app, int argc, char** argv);

}  // namespace automot
