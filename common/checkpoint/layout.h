// The tensors that a checkpoint of a given geometry holds (spec 6.2): the one table that the loader
// checks against and the generator of random checkpoints writes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/checkpoint/geometry.h"

namespace automot::model {

inline constexpr char kLmHeadName[] = "language_model.lm_head.weight";
inline constexpr char kEmbeddingName[] = "language_model.model.embed_tokens.weight";

// What a tensor is for. Loading needs only kCounter (int64, else floating point); initialisation
// needs the rest.
enum class TensorRole {
  kProjection,   // [out, in, ...], a matrix or a convolution kernel
  kEmbedding,    // [rows, width], looked up or added
  kBias,         // [out]
  kNormWeight,   // [width], 1 is neutral
  kRunningMean,  // [width], 0 is neutral
  kRunningVar,   // [width], 1 is neutral
  kCounter,      // [], int64
};

struct ExpectedTensor {
  std::string name;  // canonical
  std::vector<int64_t> shape;
  TensorRole role = TensorRole::kProjection;
  bool optional = false;
};

// Whose weight a tensor is. The embedding and lm_head count as the understanding expert's; of them
// the action expert reads the rows of its lexicon.
enum class ModelPart { kUnderstanding, kAction, kBev };

// `name` is canonical.
ModelPart PartOf(std::string_view name);

// In the order of the forward pass. lm_head is optional when the embedding is tied.
std::vector<ExpectedTensor> ExpectedTensors(const ModelGeometry& geometry);

}  // namespace automot::model
