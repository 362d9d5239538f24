// What fewer bytes cost and save: errors of quantised contexts, and bytes that need not be resent.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"
#include "tests/benchmark/context_bytes/bytes_case.h"

namespace automot {

// Over `scenes`: plans with contexts that went through each quantised type, against plans with the
// contexts as computed.
absl::StatusOr<nlohmann::json> MeasureQuantisation(ExpertPair& experts,
                                                   const std::vector<Scene>& scenes);

// One refresh after the other: the share of the second context's bytes that the first has at the
// same place, in each element type.
absl::StatusOr<nlohmann::json> MeasureReuse(ExpertPair& experts, const Scene& first,
                                            const Scene& second);

}  // namespace automot
