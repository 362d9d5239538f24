// One tick: pin a context, judge it, run the action expert or the fallback, convert to control.
// Step 6.
//
// Run belongs to the planning thread: it takes no lock, allocates nothing outside the model, copies
// no keys or values. PinFor is for the other threads.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/scheduling/batch_costs.h"
#include "services/planning/action_expert.h"
#include "services/planning/planning_loop.h"
#include "services/planning/planning_metrics.h"
#include "services/planning/session.h"

namespace automot::planning {

class PlanPipeline final : public PlanTick {
 public:
  // All pointers outlive the pipeline. `session_limit` bounds the pins that clients may hold.
  static absl::StatusOr<std::unique_ptr<PlanPipeline>> Create(ContextStore* store,
                                                              ActionExpert* expert,
                                                              PlanningMetrics* metrics,
                                                              uint32_t session_limit);

  Outcome Run(PlanWork& work, bool may_park) override;
  void RunBatch(absl::Span<PlanWork* const> works, absl::Span<const bool> may_park,
                absl::Span<Outcome> outcomes) override;

  // Pins a version for a client: `id`, or the newest that is visible at `now_us` of session time.
  // NOT_FOUND; RESOURCE_EXHAUSTED without a pin slot.
  absl::StatusOr<ContextStore::Handle> PinFor(const Session& session,
                                              const std::optional<SnapshotId>& id,
                                              SessionTimeUs now_us) const;

  // Pin slots of each reader that Create registers.
  static constexpr uint32_t kPinsPerReader = 64;
  // Readers to provide in the store's options.
  static uint32_t ReadersNeeded(uint32_t session_limit);

 private:
  // The context that a tick may use; `served` is null without one.
  struct Context {
    ContextStore::Handle handle;
    const ServedContext* served = nullptr;
    SnapshotId id;
    SessionTimeUs capture_us = 0;
  };

  // What a look at a plan comes to. kExpert: its context is held, and the expert is to run.
  enum class Step : uint8_t { kAnswered, kPark, kExpert };

  PlanPipeline(ContextStore* store, ActionExpert* expert, PlanningMetrics* metrics)
      : store_(store), expert_(expert), metrics_(metrics) {}

  void BeginEpisode(PlanWork& work) const;
  void LookAtProducer(PlanWork& work) const;
  void Saw(PlanWork& work, SnapshotId id) const;
  bool Acquire(PlanWork& work, Context* context) const;
  bool WaitsForRefresh(const PlanWork& work, const Context& context) const;
  bool NewEnough(PlanWork& work, const Context& context) const;
  StalenessOutcome Judge(PlanWork& work, const Context& context, bool may_park) const;
  StalenessOutcome JudgeAbsence(PlanWork& work, StalenessInputs inputs) const;
  Step Look(PlanWork& work, bool may_park, Context* context);
  Step Resolve(PlanWork& work, const Context& context, const StalenessOutcome& outcome);
  void RunExpert(absl::Span<PlanWork* const> works);
  void TakePlan(PlanWork& work, const PlanItem& item) const;
  void RunFallback(PlanWork& work) const;
  void Describe(PlanWork& work, const Context& context) const;
  void Finish(PlanWork& work) const;

  ContextStore* const store_;
  ActionExpert* const expert_;
  PlanningMetrics* const metrics_;
  context::ReaderSlot planner_reader_;
  // Of the run in progress, planning thread only.
  std::array<Context, BatchCosts::kLargestBatch> contexts_;
  std::array<PlanItem, BatchCosts::kLargestBatch> items_;
  std::vector<context::ReaderSlot> pin_readers_;
};

}  // namespace automot::planning
