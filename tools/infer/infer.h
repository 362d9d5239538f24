// automot-infer without its command line: reads, runs, writes.
#pragma once

#include "absl/status/status.h"
#include "tools/infer/infer_options.h"

namespace automot::infer {

// Notes go to stderr, an answer to stdout. On an error nothing is written to options.outputs. Sets
// LibTorch's number of threads.
absl::Status Infer(const InferOptions& options);

}  // namespace automot::infer
