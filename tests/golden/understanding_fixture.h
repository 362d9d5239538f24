// The understanding expert of the tiny checkpoint, and the chain from camera frames to a context.
#pragma once

#include <ATen/ATen.h>

#include <string>
#include <vector>

#include "common/model/action_model.h"
#include "common/model/frame_encoder.h"
#include "common/model/understanding_model.h"
#include "tests/golden/golden_case.h"

namespace automot::golden {

const model::UnderstandingModel& TinyUnderstandingModel();

// `[frames, height, width, 3]`, uint8 -> pictures.
std::vector<RgbImage> ToImages(const at::Tensor& frames);

struct Context {
  at::Tensor resized_frames;  // [frames, height, width, 3], uint8
  at::Tensor pixel_values;
  std::vector<model::ImageFeature> features;
  model::PromptSequence sequence;
  at::Tensor keys, values;  // [layers, tokens, kv_heads, head_dim]
};

// Runs everything from raw frames and token ids: only tensors of role "input".
Context RunSlowPath(const GoldenCase& golden, model::InstructionMask mask);

// A context in the given form whose memory it owns.
struct ContextMemory {
  at::Tensor keys, values;  // contiguous
  model::ContextBuffers buffers;
};
ContextMemory StoreContext(const at::Tensor& keys, const at::Tensor& values, int64_t position_start,
                           model::ContextForm form);

}  // namespace automot::golden
