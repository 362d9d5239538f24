#include "services/planning/handlers/plan_batch_handler.h"

#include <atomic>
#include <memory>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "common/rpc/status_conversion.h"
#include "services/planning/handlers/plan_conversion.h"
#include "services/planning/handlers/plan_handler.h"

namespace automot::planning {
namespace {

namespace v1 = automot::v1;

constexpr int kMaxPlans = 256;

absl::Status ValidateBatch(const v1::PlanBatchRequest& request) {
  if (request.plans_size() > kMaxPlans) {
    return absl::InvalidArgumentError(
        absl::StrCat("plans has ", request.plans_size(), " elements; the limit is ", kMaxPlans));
  }
  absl::flat_hash_set<absl::string_view> sessions;
  for (const v1::PlanRequest& plan : request.plans()) {
    if (!sessions.insert(plan.session()).second) {
      return absl::InvalidArgumentError(absl::StrCat("plans names session '",
                                                     plan.session().substr(0, kMaxSessionNameBytes),
                                                     "' twice; sessions of a batch are distinct"));
    }
  }
  return absl::OkStatus();
}

// Each vehicle writes only its own result; the last one to come finishes the call.
class PlanBatchReactor final : public grpc::ServerUnaryReactor {
 public:
  PlanBatchReactor(const PlanningContext& context, grpc::CallbackServerContext* call,
                   v1::PlanBatchResponse* response)
      : context_(context), call_(call), response_(response) {}

  void Start(const v1::PlanBatchRequest& request) {
    const absl::Status valid = ValidateBatch(request);
    if (!valid.ok() || request.plans().empty()) return Finish(rpc::ToGrpcStatus(valid));
    const absl::Duration arrived = context_.clock->Now();
    const absl::Duration deadline = DeadlineOf(*call_, *context_.clock);
    for (const v1::PlanRequest& plan : request.plans()) {
      response_->add_results()->set_session(plan.session().substr(0, kMaxSessionNameBytes));
    }
    remaining_.store(request.plans_size(), std::memory_order_release);
    for (int i = 0; i < request.plans_size(); ++i) StartOne(i, request.plans(i), arrived, deadline);
  }

  void OnCancel() override {
    cancelled_->store(true, std::memory_order_release);
    context_.engine->NoticeCancellation();
  }
  void OnDone() override { delete this; }

 private:
  void StartOne(int index, const v1::PlanRequest& request, absl::Duration arrived,
                absl::Duration deadline) {
    absl::StatusOr<PlanCall> plan = PlanCallFromProto(request);
    if (!plan.ok()) return Complete(index, {plan.status(), absl::ZeroDuration(), nullptr});
    plan->arrived = arrived;
    plan->deadline = deadline;
    plan->cancelled = cancelled_;
    KeepForRecorder(*context_.engine, request, &*plan);
    context_.engine->Plan(*std::move(plan),
                          [this, index](const PlanAnswer& answer) { Complete(index, answer); });
  }

  void Complete(int index, const PlanAnswer& answer) {
    v1::PlanBatchResult* result = response_->mutable_results(index);
    PlanStatusToProto(answer, result->mutable_status());
    if (answer.status.ok()) {
      PlanResponseToProto(*answer.work, context_.engine->model().model_revision,
                          context_.clock->Now(), result->mutable_plan());
    }
    if (remaining_.fetch_sub(1, std::memory_order_acq_rel) == 1) Finish(grpc::Status::OK);
  }

  const PlanningContext& context_;
  grpc::CallbackServerContext* const call_;
  v1::PlanBatchResponse* const response_;
  const std::shared_ptr<std::atomic<bool>> cancelled_ = std::make_shared<std::atomic<bool>>(false);
  std::atomic<int> remaining_{0};
};

}  // namespace

grpc::ServerUnaryReactor* HandlePlanBatch(const PlanningContext& context,
                                          grpc::CallbackServerContext* call,
                                          const v1::PlanBatchRequest* request,
                                          v1::PlanBatchResponse* response) {
  auto* reactor = new PlanBatchReactor(context, call, response);  // deletes itself in OnDone
  reactor->Start(*request);
  return reactor;
}

}  // namespace automot::planning
