// A question about a session's scene (spec 2.5), on its way through the worker.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
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

  // `on_text` receives the next piece, on the worker's thread, and returns false to stop; `on_done`
  // comes last, once, on any thread, with whether the model ended by itself.
  std::function<bool(std::string_view)> on_text;
  std::function<void(absl::StatusOr<bool>)> on_done;
  // False once nobody waits for the answer. Any thread, and under the engine's lock: must neither
  // block nor call the engine. Null: somebody always does.
  std::function<bool()> wanted;

  // Filled by the engine: the features of the session's episode, or of this question alone.
  std::shared_ptr<VisionCache> cache;

  bool abandoned() const { return wanted != nullptr && !wanted(); }
  SessionTimeUs capture_time_us() const { return frames.back()->capture_time_us; }
};

// How an abandoned question ends.
inline absl::Status Abandoned() { return absl::CancelledError("nobody waits for the answer"); }

}  // namespace automot::reasoning
