// The slow expert as the reasoning service sees it. Torch-free; torch_understanding_expert.*
// implements it, tests have a fake.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/context/context_layout.h"
#include "common/context/kv_buffer.h"
#include "common/model/token_sampler.h"
#include "common/types/observation.h"
#include "common/types/trajectory.h"

namespace automot::reasoning {

// Result of the vision tower on one camera frame: opaque, immutable, shareable between refreshes
// and threads.
class VisionFeature {
 public:
  virtual ~VisionFeature() = default;
};
using VisionFeatures = std::vector<std::shared_ptr<const VisionFeature>>;

// What the prompt says (spec 2.2).
struct ContextPrompt {
  RouteTarget target;      // ego frame at the capture, metres
  double speed_mps = 0.0;  // metres per second
};

// Token-level plan of one context: decides its shape before any work is done.
struct ContextPlan {
  std::vector<int64_t> prefix_ids;       // text before the images
  std::vector<int64_t> instruction_ids;  // text after the images, with its end marker
  int image_count = 0;
  context::ContextLayout layout;  // shape of the keys and values that Prefill writes
  int64_t position_start = 0;     // largest prefix position + 1
};

// Inputs of the published decision (semantics 7), all of the snapshot's own capture.
struct DecisionInputs {
  std::shared_ptr<const RgbImage> camera;  // uncropped front camera
  bool camera_was_jpeg = false;
  std::shared_ptr<const LidarHistogram> lidar;  // null: zero histogram
  ContextPrompt prompt;
  SessionTimeUs capture_time_us = 0;
};

// One context of a prefill. Borrowed; `keys_values` is of plan->layout.
struct PrefillItem {
  const ContextPlan* plan = nullptr;
  const VisionFeatures* features = nullptr;
  context::KvBuffer* keys_values = nullptr;
};

struct UnderstandingExpertInfo {
  std::string model_revision;
  std::string prompt_template;  // name with version
  bool weights_trained = false;
  bool bidirectional_instruction = false;
  int history_frames = 4;
  SessionTimeUs history_spacing_us = 250'000;
  int num_layers = 0;
  context::ContextLayout::ElementType element_type =
      context::ContextLayout::ElementType::kFloat32;  // of the keys and values that Prefill writes
  int camera_width = 512;  // camera that the decision was made for, before its crop, pixels
  int camera_height = 256;
};

// When an answer ends, and how its tokens are chosen.
struct AskOptions {
  static constexpr int kMaxTokens = 1024;
  static constexpr std::size_t kMaxStops = 8;
  static constexpr std::size_t kMaxStopBytes = 256;

  int max_tokens = 64;
  std::vector<std::string> stop;    // the answer ends before the first of these; UTF-8
  model::SamplingOptions sampling;  // default: greedy
};

// INVALID_ARGUMENT naming field, value and limit.
absl::Status ValidateAskOptions(const AskOptions& options);

// Not thread-safe, except that info() may be called anywhere: one thread owns an expert.
class UnderstandingExpert {
 public:
  virtual ~UnderstandingExpert() = default;

  virtual const UnderstandingExpertInfo& info() const = 0;

  // Runs the vision tower on one frame of any size.
  virtual absl::StatusOr<std::shared_ptr<const VisionFeature>> EncodeFrame(
      const RgbImage& image) = 0;

  // INVALID_ARGUMENT for a prompt that is not finite or images beyond the model's limits.
  virtual absl::StatusOr<ContextPlan> PlanContext(const ContextPrompt& prompt, int image_count,
                                                  context::ContextLayout::Kind kind) = 0;

  // Fills the items' keys and values layer by layer, in one run for all of them, and calls
  // `on_layer(i, l)` when layer l of item i is complete. A batch holds at least one item; each gets
  // what it would get alone, but for rounding.
  virtual absl::Status PrefillBatch(
      absl::Span<const PrefillItem> batch,
      const std::function<void(std::size_t item, int layer)>& on_layer) = 0;
  // A batch of one.
  absl::Status Prefill(const ContextPlan& plan, const VisionFeatures& features,
                       context::KvBuffer& keys_values,
                       const std::function<void(int layer)>& on_layer) {
    const PrefillItem item{&plan, &features, &keys_values};
    return PrefillBatch({&item, 1}, [&](std::size_t, int layer) { on_layer(layer); });
  }

  // Decodes the decision on the snapshot's own observation. UNIMPLEMENTED where the decision
  // weights are not loaded.
  virtual absl::StatusOr<Decision> Decide(const ContextPlan& plan,
                                          const context::KvBuffer& keys_values,
                                          const DecisionInputs& inputs) = 0;

  // Generates an answer to `question` about the frames. `on_text` receives pieces, each valid
  // UTF-8, and returns false to stop. `yield` is called between tokens, and between the layers of
  // the frames' prefill, so that context refreshes go first: it may use the expert, but not Ask.
  // Questions about the same features share that prefill while no other scene is asked about.
  // Returns true where the answer is complete: the model ended it, or a stop string did. Options
  // are valid.
  virtual absl::StatusOr<bool> Ask(std::string_view question, const VisionFeatures& features,
                                   const AskOptions& options,
                                   const std::function<bool(std::string_view)>& on_text,
                                   const std::function<void()>& yield) = 0;
};

}  // namespace automot::reasoning
