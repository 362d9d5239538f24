#include "services/planning/handlers/stream_plans_handler.h"

#include <deque>
#include <memory>
#include <utility>

#include "absl/synchronization/mutex.h"
#include "services/planning/handlers/plan_conversion.h"

namespace automot::planning {
namespace {

namespace v1 = automot::v1;

// Answers not yet written: beyond this no further request is read, so a client that does not read
// is slowed, nobody else.
constexpr size_t kMaxUnwritten = 64;

// Reads a request, plans it, writes the answer when it is there; ticks overlap. Ends when the
// client has half-closed and every answer is written, or on cancellation once no plan is in flight.
class StreamPlansReactor final
    : public grpc::ServerBidiReactor<v1::StreamPlansRequest, v1::StreamPlansResponse> {
 public:
  explicit StreamPlansReactor(const PlanningContext& context) : context_(context) {
    StartRead(&request_);
  }

  void OnReadDone(bool ok) override {
    if (ok) StartPlan();
    absl::MutexLock lock(&mutex_);
    if (!ok) {
      reads_done_ = true;
    } else if (in_flight_ + unwritten_.size() < kMaxUnwritten) {
      StartRead(&request_);
    } else {
      read_paused_ = true;
    }
    FinishIfDone();
  }

  void OnWriteDone(bool ok) override {
    absl::MutexLock lock(&mutex_);
    unwritten_.pop_front();
    writing_ = false;
    if (!ok) broken_ = true;
    if (broken_) unwritten_.clear();
    Advance();
  }

  void OnCancel() override {
    cancelled_->store(true, std::memory_order_release);
    context_.engine->NoticeCancellation();
  }
  void OnDone() override { delete this; }

 private:
  void StartPlan() {
    {
      absl::MutexLock lock(&mutex_);
      ++in_flight_;
    }
    const uint64_t sequence = request_.plan().sequence();
    const absl::Duration arrived = context_.clock->Now();
    absl::StatusOr<PlanCall> plan = PlanCallFromProto(request_.plan());
    if (!plan.ok()) return Complete(sequence, {plan.status(), absl::ZeroDuration(), nullptr});
    plan->arrived = arrived;
    plan->cancelled = cancelled_;
    context_.engine->Plan(*std::move(plan), [this, sequence](const PlanAnswer& answer) {
      Complete(sequence, answer);
    });
  }

  void Complete(uint64_t sequence, const PlanAnswer& answer) {
    auto response = std::make_unique<v1::StreamPlansResponse>();
    response->set_sequence(sequence);
    PlanStatusToProto(answer, response->mutable_status());
    if (answer.status.ok()) {
      PlanResponseToProto(*answer.work, context_.engine->model().model_revision,
                          context_.clock->Now(), response->mutable_plan());
    }
    absl::MutexLock lock(&mutex_);
    --in_flight_;
    if (!broken_) unwritten_.push_back(std::move(response));
    Advance();
  }

  void Advance() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (!writing_ && !unwritten_.empty()) {
      writing_ = true;
      StartWrite(unwritten_.front().get());
    }
    if (read_paused_ && in_flight_ + unwritten_.size() < kMaxUnwritten) {
      read_paused_ = false;
      StartRead(&request_);
    }
    FinishIfDone();
  }

  void FinishIfDone() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (!reads_done_ || finished_ || writing_ || in_flight_ > 0 || !unwritten_.empty()) return;
    finished_ = true;
    Finish(grpc::Status::OK);
  }

  const PlanningContext& context_;
  const std::shared_ptr<std::atomic<bool>> cancelled_ = std::make_shared<std::atomic<bool>>(false);
  v1::StreamPlansRequest request_;

  absl::Mutex mutex_;
  std::deque<std::unique_ptr<v1::StreamPlansResponse>> unwritten_ ABSL_GUARDED_BY(mutex_);
  size_t in_flight_ ABSL_GUARDED_BY(mutex_) = 0;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool read_paused_ ABSL_GUARDED_BY(mutex_) = false;
  bool reads_done_ ABSL_GUARDED_BY(mutex_) = false;
  bool broken_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace

grpc::ServerBidiReactor<v1::StreamPlansRequest, v1::StreamPlansResponse>* HandleStreamPlans(
    const PlanningContext& context, grpc::CallbackServerContext*) {
  return new StreamPlansReactor(context);  // deletes itself in OnDone
}

}  // namespace automot::planning
