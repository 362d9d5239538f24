// Text in the making (spec 2.5): a prefilled scene that any number of questions share, and one
// answer each. UnderstandingModel makes and advances them.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "common/model/text_decoder.h"
#include "common/model/token_sampler.h"

namespace automot::model {

struct GenerateOptions {
  int64_t max_tokens = 64;
  SamplingOptions sampling;
  std::vector<int64_t> stop_ids;  // end the text as im_end does
};

enum class GenerateEnd : uint8_t {
  kEndOfText,  // the model wrote im_end or a stop id
  kLength,     // max_tokens were written
  kCancelled,  // a callback said so
};

struct GenerateCallbacks {
  std::function<bool(int64_t id)> on_token;  // false ends the generation; im_end is not reported
  std::function<bool()> before_token = nullptr;  // called between tokens; may wait; false ends it
};

// Prefix and images after a prefill under the plain causal mask. Immutable: any number of
// generations, on any thread, see the same keys and values.
class Scene {
 public:
  int64_t tokens() const { return keys_values_.tokens; }
  int64_t next_position() const { return next_position_; }

 private:
  friend class UnderstandingModel;
  SequenceKeysValues keys_values_;
  int64_t next_position_ = 0;
};

// One answer. Keeps its scene alive; its own tokens lie apart from it. One thread at a time.
class Generation {
 public:
  // The newest token, unless that ended the text.
  std::optional<int64_t> token() const { return token_; }
  // Set where there will be no further token.
  std::optional<GenerateEnd> end() const { return end_; }
  // What the newest token was chosen from: `[vocab]`, float32, model device.
  const at::Tensor& logits() const { return logits_; }

 private:
  friend class UnderstandingModel;
  Generation(std::shared_ptr<const Scene> scene, const GenerateOptions& options)
      : scene_(std::move(scene)), options_(options), sampler_(options.sampling) {}
  void Choose(const at::Tensor& logits, int64_t im_end);

  std::shared_ptr<const Scene> scene_;  // null: everything is its own
  GenerateOptions options_;
  TokenSampler sampler_;
  SequenceKeysValues own_;
  int64_t next_position_ = 0;
  int64_t written_ = 0;
  at::Tensor logits_;
  std::optional<int64_t> token_;
  std::optional<GenerateEnd> end_;
};

}  // namespace automot::model
