// What the reasoning worker works on, and whom it tells. The engine implements it; tests may as
// well.
#pragma once

#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/reasoning/context_refresh.h"
#include "services/reasoning/refresh_job.h"
#include "services/reasoning/scene_question.h"

namespace automot::reasoning {

// Called on the worker's thread alone. Only WaitForWork blocks.
class WorkSource {
 public:
  virtual ~WorkSource() = default;

  // The expert is loaded and warmed (its info), or never will be.
  virtual void OnWarm(const absl::StatusOr<UnderstandingExpertInfo>& info) = 0;
  // Returns with work to take, or false when there will be none any more.
  virtual bool WaitForWork() = 0;
  // The refresh with the earliest deadline, if one is due.
  virtual std::optional<RefreshJob> TakeRefresh() = 0;
  virtual std::unique_ptr<SceneQuestion> TakeQuestion() = 0;

  // Names the snapshot of a job that is still wanted.
  virtual std::optional<SnapshotId> BeginSnapshot(const RefreshJob& job) = 0;
  virtual void EndRefresh(const RefreshJob& job,
                          const absl::StatusOr<ContextRefresh::Result>& result) = 0;
};

}  // namespace automot::reasoning
