#include "services/planning/handlers/plan_handler.h"

#include <memory>
#include <utility>

#include "common/rpc/status_conversion.h"
#include "services/planning/handlers/plan_conversion.h"

namespace automot::planning {
namespace {

namespace v1 = automot::v1;

// Lives from the call's arrival to OnDone. Cancellation only sets a flag that the planning thread
// reads.
class PlanReactor final : public grpc::ServerUnaryReactor {
 public:
  PlanReactor(const PlanningContext& context, grpc::CallbackServerContext* call,
              v1::PlanResponse* response)
      : context_(context), call_(call), response_(response) {}

  void Start(const v1::PlanRequest& request) {
    const absl::Duration arrived = context_.clock->Now();
    absl::StatusOr<PlanCall> plan = PlanCallFromProto(request);
    if (!plan.ok()) return Finish(rpc::ToGrpcStatus(plan.status()));
    plan->arrived = arrived;
    plan->deadline = DeadlineOf(*call_, *context_.clock);
    plan->cancelled = cancelled_;
    KeepForRecorder(*context_.engine, request, &*plan);
    context_.engine->Plan(*std::move(plan), [this](const PlanAnswer& answer) { Complete(answer); });
  }

  void OnCancel() override {
    cancelled_->store(true, std::memory_order_release);
    context_.engine->NoticeCancellation();
  }
  void OnDone() override { delete this; }

 private:
  void Complete(const PlanAnswer& answer) {
    rpc::AddRetryAfter(call_, answer.retry_after);
    if (answer.status.ok()) {
      PlanResponseToProto(*answer.work, context_.engine->model().model_revision,
                          context_.clock->Now(), response_);
    }
    Finish(rpc::ToGrpcStatus(answer.status));
  }

  const PlanningContext& context_;
  grpc::CallbackServerContext* const call_;
  v1::PlanResponse* const response_;
  const std::shared_ptr<std::atomic<bool>> cancelled_ = std::make_shared<std::atomic<bool>>(false);
};

}  // namespace

absl::Duration DeadlineOf(const grpc::CallbackServerContext& call, const Clock& clock) {
  const auto deadline = call.deadline();
  if (deadline == std::chrono::system_clock::time_point::max()) return absl::InfiniteDuration();
  return clock.Now() + absl::FromChrono(deadline - std::chrono::system_clock::now());
}

grpc::ServerUnaryReactor* HandlePlan(const PlanningContext& context,
                                     grpc::CallbackServerContext* call,
                                     const v1::PlanRequest* request, v1::PlanResponse* response) {
  auto* reactor = new PlanReactor(context, call, response);  // deletes itself in OnDone
  reactor->Start(*request);
  return reactor;
}

}  // namespace automot::planning
