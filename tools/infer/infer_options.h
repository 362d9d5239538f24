// What the command line of automot-infer says.
#pragma once

#include <cstdint>
#include <set>
#include <string>

#include "absl/status/statusor.h"

namespace automot::infer {

// Where a chain of stages may be entered on purpose, skipping its earlier inputs.
enum class EntryPoint : uint8_t { kPixels, kContext, kBevFeature };

struct InferOptions {
  std::string checkpoint;  // directory
  std::string inputs;      // safetensors file to read
  std::string outputs;     // safetensors file to write
  bool use_ema = false;    // tensors of ema.safetensors where it has them
  std::set<EntryPoint> enter_at;

  std::string prompt;  // instruction text; empty takes instruction_ids
  bool answer = false;
  int64_t max_tokens = 64;

  bool bidirectional_instruction = false;
  int64_t reuse = 0;  // positions drift by this many uses; always 0 under the anchored policy
  bool lexicon_logits = false;
  bool jpeg_roundtrip = true;
  bool bfloat16 = false;
  bool compact_context = false;
  std::string device = "cpu";
  int threads = 0;       // of one operation; 0 leaves LibTorch's choice
  bool timings = false;  // wall time of loading and running each part, on stderr
};

// INVALID_ARGUMENT naming the flag. Prints the help and ends the process where that is asked for.
absl::StatusOr<InferOptions> ParseInferOptions(int argc, char** argv);

}  // namespace automot::infer
