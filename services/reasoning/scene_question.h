// A question about a session's scene (spec 2.5), on its way through the worker.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "services/reasoning/camera_history.h"
#include "services/reasoning/understanding_expert.h"
#include "services/reasoning/vision_cache.h"

namespace automot::reasoning {

struct SceneQuestion {
  std::string session;                 // asked about its history; unused where `frames` is given
  std::vector<CameraFramePtr> frames;  // own frames, oldest first
  std::string question;
  AskOptions options;

  // Called on the worker's thread. `on_text` receives the next piece and returns false to stop;
  // `on_done` comes last, once, with whether the model ended by itself.
  std::function<bool(std::string_view)> on_text;
  std::function<void(absl::StatusOr<bool>)> on_done;

  // Filled by the engine: the features of the session's episode, or of this question alone.
  std::shared_ptr<VisionCache> cache;

  SessionTimeUs capture_time_us() const { return frames.back()->capture_time_us; }
};

}  // namespace automot::reasoning
