// The one thread that owns the understanding expert: refreshes first, questions in between.
#pragma once

#include <functional>
#include <memory>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/context/kv_buffer_pool.h"
#include "common/time/clock.h"
#include "services/reasoning/understanding_expert.h"
#include "services/reasoning/work_source.h"

namespace automot::reasoning {

// Makes the expert on the worker's thread, so that every use of it, construction included, is on
// that one thread.
using ExpertFactory = std::function<absl::StatusOr<std::unique_ptr<UnderstandingExpert>>()>;

class ReasoningWorker {
 public:
  struct Options {
    bool publish_decisions = true;
    int max_batch = 1;   // refreshes in one run of the expert
    int nice_value = 5;  // it yields to the planning side on a shared machine
  };

  // Starts the thread. `source`, `pool` and `clock` outlive the worker.
  ReasoningWorker(const Options& options, ExpertFactory factory, context::KvBufferPool* pool,
                  const Clock* clock, WorkSource* source);
  // Joins: the source must have said that there is no more work.
  ~ReasoningWorker();

 private:
  void Main(const ExpertFactory& factory);
  absl::Status WarmUp();
  absl::Status MeasureBatches(const ContextPlan& plan, const VisionFeatures& features);
  void Serve();
  void RunDueRefreshes();
  void Refresh(absl::Span<const RefreshJob> jobs);
  void Answer(SceneQuestion& question);

  const Options options_;
  context::KvBufferPool* const pool_;
  const Clock* const clock_;
  WorkSource* const source_;
  std::unique_ptr<UnderstandingExpert> expert_;
  std::thread thread_;
};

}  // namespace automot::reasoning
