// The understanding expert with the published widths and a few of its layers, and one scene.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/model/understanding_model.h"
#include "tests/benchmark/temporary_checkpoint/temporary_checkpoint.h"

namespace automot::benchmarks {

struct PrefillOptions {
  int64_t text_layers = 9, vision_blocks = 6;  // of 36 and 24
  int64_t frames = 4, tokens = 625;            // of the context
  std::string dtype = "bfloat16";
};

// Random weights in a temporary folder, random pictures, random words. Throws std::runtime_error.
class PrefillCase {
 public:
  explicit PrefillCase(const PrefillOptions& options);
  PrefillCase(const PrefillCase&) = delete;
  PrefillCase& operator=(const PrefillCase&) = delete;

  // From the pixels of the newest `new_frames` pictures, and the features of the others, to compact
  // keys and values in memory of their own.
  void Prefill(int64_t new_frames);
  // Keys of the last layer's first head for the last token, from all pictures.
  std::vector<double> LastKeys();

  const std::string& directory() const { return checkpoint_.directory(); }
  std::string inputs_path() const { return directory() + "/benchmark_inputs.safetensors"; }

 private:
  void MakeCheckpoint();
  void WriteInputs() const;
  std::vector<model::ImageFeature> Encode(int64_t first, int64_t count) const;

  const PrefillOptions options_;
  TemporaryCheckpoint checkpoint_;
  std::unique_ptr<const model::UnderstandingModel> model_;
  int64_t rows_ = 0, cols_ = 0;  // patches of a picture
  at::Tensor pixel_values_;      // [frames * rows * cols, values], float32
  std::vector<model::ImageFeature> features_;
  model::PromptSequence sequence_;
  std::vector<at::Tensor> kept_;
};

}  // namespace automot::benchmarks
