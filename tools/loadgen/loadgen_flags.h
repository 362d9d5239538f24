// Command line of automot-loadgen.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/rpc/credentials.h"
#include "tools/loadgen/bounds.h"
#include "tools/loadgen/load_run.h"

namespace automot::loadgen {

struct LoadgenFlags {
  LoadOptions load;  // without credentials, name and the server's camera
  rpc::ChannelTlsOptions tls;
  std::vector<double> sweep;  // loads to run one after the other; empty: one run
  std::vector<Bound> bounds;
  std::string json_file;
  absl::Duration wait_ready = absl::Seconds(60);
};

// Prints help and exits where asked to. INVALID_ARGUMENT in one line naming the flag.
absl::StatusOr<LoadgenFlags> ParseLoadgenFlags(int argc, char** argv);

}  // namespace automot::loadgen
