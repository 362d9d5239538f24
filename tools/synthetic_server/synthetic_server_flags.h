// Command line of automot-synthetic-server.
#pragma once

#include "absl/status/statusor.h"
#include "common/runtime/program_flags.h"
#include "services/egodriver/egodriver_flags.h"
#include "services/planning/planning_flags.h"
#include "tools/synthetic/synthetic_expert.h"
#include "tools/synthetic/synthetic_producer.h"

namespace automot::synthetic {

struct SyntheticServerFlags {
  SyntheticExpertOptions expert;
  SyntheticProducerOptions producer;
  planning::PlanningFlags planning;
  egodriver::EgodriverFlags egodriver;
  ServerFlags shared;
};

// Prints help and exits where asked to. INVALID_ARGUMENT in one line naming the flag.
absl::StatusOr<SyntheticServerFlags> ParseSyntheticServerFlags(int argc, char** argv);

}  // namespace automot::synthetic
