// What the reasoning engine tells whoever measures and logs it. Every transition of a refresh is
// one event.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "common/context/context_snapshot.h"

namespace automot::reasoning {

// Called from any thread of the engine, without its lock; must not block. The default does nothing.
class ReasoningEvents {
 public:
  virtual ~ReasoningEvents() = default;

  virtual void OnReady(const absl::Status& /*status*/) {}
  virtual void OnAttached(const std::string& /*session*/, uint64_t /*epoch*/) {}
  virtual void OnDetached(const std::string& /*session*/, uint64_t /*epoch*/, bool /*fenced*/) {}
  virtual void OnSubmitted(bool /*superseded*/) {}
  // `lateness_s`: begin of the refresh after its deadline, 0 where in time.
  virtual void OnRefreshBegun(double /*queue_s*/, double /*lateness_s*/) {}
  virtual void OnPublished(const context::ContextSnapshot& /*snapshot*/,
                           uint64_t /*vision_cache_hits*/) {}
  virtual void OnRefreshFailed(const std::string& /*session*/, const absl::Status& /*why*/) {}
  virtual void OnDecisionFailed(const std::string& /*session*/, const absl::Status& /*why*/) {}
  virtual void OnAnswered(double /*seconds*/, const absl::Status& /*status*/) {}

  static ReasoningEvents* None() {
    static ReasoningEvents none;
    return &none;
  }
};

}  // namespace automot::reasoning
