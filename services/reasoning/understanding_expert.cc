#include "services/reasoning/understanding_expert.h"

#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"

namespace automot::reasoning {

absl::Status ValidateAskOptions(const AskOptions& options) {
  if (options.max_tokens < 1 || options.max_tokens > AskOptions::kMaxTokens) {
    return absl::InvalidArgumentError(absl::StrCat("max_tokens is ", options.max_tokens,
                                                   "; it must be 1 to ", AskOptions::kMaxTokens));
  }
  if (options.stop.size() > AskOptions::kMaxStops) {
    return absl::InvalidArgumentError(absl::StrCat("stop has ", options.stop.size(),
                                                   " strings; it must have at most ",
                                                   AskOptions::kMaxStops));
  }
  for (const std::string& stop : options.stop) {
    if (!stop.empty() && stop.size() <= AskOptions::kMaxStopBytes) continue;
    return absl::InvalidArgumentError(absl::StrCat("a stop string has ", stop.size(),
                                                   " bytes; it must have 1 to ",
                                                   AskOptions::kMaxStopBytes));
  }
  return model::ValidateSampling(options.sampling);
}

}  // namespace automot::reasoning
