// Scenes, and the contexts and plans that a checkpoint's two experts make of them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/context/context_snapshot.h"
#include "services/planning/action_expert.h"
#include "services/reasoning/understanding_expert.h"

namespace automot {

// What a refresh is made from.
struct Scene {
  std::vector<uint32_t> frames;  // seeds of the pictures, oldest first
  reasoning::ContextPrompt prompt;
};

// Both experts of one checkpoint on this thread.
class ExpertPair {
 public:
  static absl::StatusOr<ExpertPair> Load(const std::string& checkpoint, const std::string& dtype,
                                         int threads);

  int history_frames() const { return understanding_->info().history_frames; }

  absl::StatusOr<std::shared_ptr<context::ContextSnapshot>> Context(const Scene& scene);
  // `snapshot` in a quantised type and back.
  static absl::StatusOr<std::shared_ptr<context::ContextSnapshot>> ThroughType(
      const context::ContextSnapshot& snapshot, context::ContextLayout::ElementType type);
  // The quantised keys and values themselves.
  static absl::StatusOr<context::KvBuffer> Codes(const context::ContextSnapshot& snapshot,
                                                 context::ContextLayout::ElementType type);
  absl::StatusOr<planning::PlanOutput> Plan(const Scene& scene, context::SnapshotPtr context);

 private:
  std::unique_ptr<reasoning::UnderstandingExpert> understanding_;
  std::unique_ptr<planning::ActionExpert> action_;
};

// A smooth random picture with some noise.
RgbImage Picture(int width, int height, uint32_t seed);

}  // namespace automot
