// Command line of automot-serve: what both services take, shared flags once.
#pragma once

#include "absl/status/statusor.h"
#include "common/runtime/program_flags.h"
#include "services/egodriver/egodriver_flags.h"
#include "services/planning/planning_flags.h"
#include "services/reasoning/reasoning_flags.h"

namespace automot::serve {

struct ServeFlags {
  planning::PlanningFlags planning;
  reasoning::ReasoningFlags reasoning;
  egodriver::EgodriverFlags egodriver;
  ServerFlags shared;
};

// Prints help and exits where asked to. INVALID_ARGUMENT in one line naming the flag.
absl::StatusOr<ServeFlags> ParseServeFlags(int argc, char** argv);

}  // namespace automot::serve
