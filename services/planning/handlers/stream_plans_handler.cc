#include "services/planning/handlers/stream_plans_handler.h"

#include <deque>
#include <memory>
#include <string>
#include <utility>

#include "absl/synchronization/mutex.h"
#include "common/rpc/client_identity.h"
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
  // `client` is known where quotas need it.
  StreamPlansReactor(const PlanningContext& context, std::string client)
      : context_(context), client_(std::move(client)) {
    StartRead(&request_);
  }

  void OnReadDone(bool ok) override {
    if (ok) StartPlan();
    Change([this, ok]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      reads_done_ = !ok;
      read_paused_ = ok;
    });
  }

  void OnWriteDone(bool ok) override {
    Change([this, ok]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      unwritten_.pop_front();
      writing_ = false;
      broken_ = broken_ || !ok;
      if (broken_) unwritten_.clear();
    });
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
    if (rpc::ClientQuotas* quotas = context_.admission.quotas; quotas != nullptr) {
      rpc::ClientQuotas::Verdict verdict = quotas->Charge(client_, 1, request_.ByteSizeLong());
      if (!verdict.status.ok()) {
        return Complete(sequence, {std::move(verdict.status), verdict.retry_after, nullptr});
      }
    }
    absl::StatusOr<PlanCall> plan = PlanCallFromProto(request_.plan());
    if (!plan.ok()) return Complete(sequence, {plan.status(), absl::ZeroDuration(), nullptr});
    plan->arrived = arrived;
    plan->cancelled = cancelled_;
    KeepForRecorder(*context_.engine, request_.plan(), &*plan);
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
    Change([this, &response]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      --in_flight_;
      if (!broken_) unwritten_.push_back(std::move(response));
    });
  }

  // Edits the state, then starts what it allows. Finish comes last and without the lock: the
  // reactor may be deleted as soon as it is called.
  template <typename Edit>
  void Change(Edit edit) {
    {
      absl::MutexLock lock(&mutex_);
      edit();
      if (!Advance()) return;
    }
    Finish(grpc::Status::OK);
  }

  // True where the call is to be finished, once.
  bool Advance() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (!writing_ && !unwritten_.empty()) {
      writing_ = true;
      StartWrite(unwritten_.front().get());
    }
    if (read_paused_ && in_flight_ + unwritten_.size() < kMaxUnwritten) {
      read_paused_ = false;
      StartRead(&request_);
    }
    if (!reads_done_ || finished_ || writing_ || in_flight_ > 0 || !unwritten_.empty())
      return false;
    finished_ = true;
    return true;
  }

  const PlanningContext& context_;
  const std::string client_;
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
    const PlanningContext& context, grpc::CallbackServerContext* call) {
  const rpc::ClientQuotas* quotas = context.admission.quotas;
  const bool counted = quotas != nullptr && quotas->enabled();
  return new StreamPlansReactor(
      context, counted ? rpc::ClientIdentityOf(*call) : "");  // deletes itself in OnDone
}

}  // namespace automot::planning
