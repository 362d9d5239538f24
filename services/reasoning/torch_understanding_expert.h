// The understanding expert on LibTorch: the published model behind UnderstandingExpert. The only
// file of the service that knows LibTorch; nothing of it shows here.
#pragma once

#include <string>

#include "services/reasoning/reasoning_worker.h"

namespace automot::reasoning {

struct TorchExpertOptions {
  std::string checkpoint;         // directory in the official layout (spec 6)
  std::string dtype = "float32";  // float32 | bfloat16
  std::string device = "cpu";     // cpu | cuda | cuda:N
  int threads = 0;  // intra-op threads of the expert's thread; 0: all cores but one, at least one
  bool publish_decisions = true;  // off: BEV encoder and action expert are not loaded
  bool bidirectional_instruction = false;
  bool use_ema = false;
};

// Intra-op threads that the expert's thread will use.
int ThreadsFor(const TorchExpertOptions& options);

// INVALID_ARGUMENT naming flag, value and choices. The factory's errors are the checkpoint's.
absl::StatusOr<ExpertFactory> TorchExpertFactory(const TorchExpertOptions& options);

}  // namespace automot::reasoning
