// Command line of automot-synthetic-server.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

#include "absl/status/statusor.h"
#include "common/runtime/program_flags.h"
#include "services/planning/planning_flags.h"
#include "tools/synthetic/synthetic_expert.h"
#include "tools/synthetic/synthetic_producer.h"

namespace automot::synthetic {

struct SyntheticServerFlags {
  SyntheticExpertOptions expert;
  SyntheticProducerOptions producer;
  planning::PlanningFlags planning;
  ServerFlags shared;
};

// Prints help and exits where asked to. `add_more` adds the flags of what else the program serves.
// INVALID_ARGUMENT in one line naming the flag.
absl::StatusOr<SyntheticServerFlags> ParseSyntheticServerFlags(
    int argc, char** argv, const std::function<void(CLI::App&)>& add_more = nullptr);

}  // namespace automot::synthetic
