// What the reasoning worker works on, and whom it tells. The engine implements it; tests may as
// well.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
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
  // The refresh with the earliest deadline, and others that shall share its run; empty where none
  // is due.
  virtual std::vector<RefreshJob> TakeRefreshes() = 0;
  // A run of `batch` refreshes, from taking them to their end, took so long; in warming up as well.
  virtual void OnRefreshed(int batch, absl::Duration took) = 0;
  virtual std::unique_ptr<SceneQuestion> TakeQuestion() = 0;

  // The episode and epoch of the job's observation are in force.
  virtual bool IsWanted(const RefreshJob& job) = 0;
  // Names the snapshot of a job that is still wanted.
  virtual std::optional<SnapshotId> BeginSnapshot(const RefreshJob& job) = 0;
  virtual void EndRefresh(const RefreshJob& job,
                          const absl::StatusOr<ContextRefresh::Result>& result) = 0;
};

}  // namespace automot::reasoning
