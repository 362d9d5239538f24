// The action expert on LibTorch: the published model behind ActionExpert. The only file of the
// service that knows LibTorch; nothing of it shows here.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "services/planning/action_expert.h"

namespace automot::planning {

struct TorchActionExpertOptions {
  std::string checkpoint;                  // directory in the official layout (spec 6)
  std::string dtype = "float32";           // float32 | bfloat16
  std::string device = "cpu";              // cpu | cuda | cuda:N
  int threads = 1;                         // intra-op threads of the planning thread
  bool bidirectional_instruction = false;  // the mask that served contexts must have been made with
  bool use_ema = false;
  bool hide_contexts = false;  // plans see nothing of their contexts: for ablations, CPU alone
};

// Loads BEV encoder and action expert. INVALID_ARGUMENT naming flag, value and choices; the rest of
// the errors are the checkpoint's.
absl::StatusOr<std::unique_ptr<ActionExpert>> LoadTorchActionExpert(
    const TorchActionExpertOptions& options);

}  // namespace automot::planning
