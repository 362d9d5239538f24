#include "tools/loadgen/plan_transport.h"

#include <deque>
#include <optional>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/time/clock.h"

namespace automot::loadgen {
namespace {

namespace v1 = automot::v1;

absl::Duration ServerDelay(const grpc::ClientContext& call) {
  const auto& metadata = call.GetServerTrailingMetadata();
  const auto found = metadata.find("automot-retry-after-ms");
  int64_t ms = 0;
  if (found == metadata.end()) return absl::ZeroDuration();
  const absl::string_view text(found->second.data(), found->second.size());
  return absl::SimpleAtoi(text, &ms) ? absl::Milliseconds(ms) : absl::ZeroDuration();
}

class Unary final : public PlanTransport {
 public:
  Unary(VehicleSession* session, CancelTimer* timer) : session_(session), timer_(timer) {}

  void Send(const v1::PlanRequest& request, const TickOrder& order,
            const OnTickEnd& ended) override {
    grpc::ClientContext call;
    call.set_deadline(absl::ToChronoTime(order.deadline));
    std::optional<CancelTimer::Guard> guard;
    if (order.cancel_after) guard.emplace(timer_, &call, absl::Now() + *order.cancel_after);
    v1::PlanResponse response;
    const grpc::Status status = session_->stub()->Plan(&call, request, &response);
    guard.reset();
    ended({request.sequence(), status.error_code(), status.error_message(),
           status.ok() ? absl::ZeroDuration() : ServerDelay(call),
           status.ok() ? &response : nullptr});
  }

  void Finish(const OnTickEnd&) override {}

 private:
  VehicleSession* const session_;
  CancelTimer* const timer_;
};

class Stream final : public PlanTransport {
 public:
  Stream(VehicleSession* session, CancelTimer* timer) : session_(session), timer_(timer) {}
  ~Stream() override {
    Finish([](const TickEnd&) {});
  }

  void Send(const v1::PlanRequest& request, const TickOrder& order,
            const OnTickEnd& ended) override {
    if (stream_ == nullptr) {
      call_ = std::make_unique<grpc::ClientContext>();
      stream_ = session_->stub()->StreamPlans(call_.get());
    }
    unread_.push_back(request.sequence());
    v1::StreamPlansRequest wrapped;
    // Borrowed for the writing: a copy of a picture per tick would be the load's own cost.
    wrapped.unsafe_arena_set_allocated_plan(const_cast<v1::PlanRequest*>(&request));
    const bool written = stream_->Write(wrapped);
    wrapped.unsafe_arena_release_plan();
    if (!written) return Break(ended);
    if (order.leave_unread) return;
    // A stream has no deadline for each tick: a server that hangs is given up long after it.
    const absl::Time limit =
        order.cancel_after ? absl::Now() + *order.cancel_after : order.deadline + kPatience;
    const CancelTimer::Guard guard(timer_, call_.get(), limit);
    while (stream_ != nullptr && !unread_.empty()) ReadOne(ended);
  }

  void Finish(const OnTickEnd& ended) override {
    if (stream_ == nullptr) return;
    const CancelTimer::Guard guard(timer_, call_.get(), absl::Now() + kPatience);
    while (stream_ != nullptr && !unread_.empty()) ReadOne(ended);
    if (stream_ == nullptr) return;
    stream_->WritesDone();
    stream_->Finish();
    stream_.reset();
  }

 private:
  static constexpr absl::Duration kPatience = absl::Seconds(5);

  void ReadOne(const OnTickEnd& ended) {
    v1::StreamPlansResponse response;
    if (!stream_->Read(&response)) return Break(ended);
    std::erase(unread_, response.sequence());
    const v1::PlanStatus& status = response.status();
    ended({response.sequence(), static_cast<grpc::StatusCode>(status.code()), status.message(),
           absl::Milliseconds(status.retry_after_ms()),
           status.code() == grpc::OK ? &response.plan() : nullptr});
  }

  // The stream is at its end, and what was not answered with it.
  void Break(const OnTickEnd& ended) {
    grpc::Status status = stream_->Finish();
    if (status.ok()) status = {grpc::UNAVAILABLE, "the stream ended before its answers"};
    stream_.reset();
    for (const uint64_t sequence : std::exchange(unread_, {})) {
      ended({sequence, status.error_code(), status.error_message(), absl::ZeroDuration(), nullptr});
    }
  }

  VehicleSession* const session_;
  CancelTimer* const timer_;
  std::unique_ptr<grpc::ClientContext> call_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::StreamPlansRequest, v1::StreamPlansResponse>>
      stream_;
  std::deque<uint64_t> unread_;
};

}  // namespace

std::unique_ptr<PlanTransport> UnaryTransport(VehicleSession* session, CancelTimer* timer) {
  return std::make_unique<Unary>(session, timer);
}
std::unique_ptr<PlanTransport> StreamTransport(VehicleSession* session, CancelTimer* timer) {
  return std::make_unique<Stream>(session, timer);
}

}  // namespace automot::loadgen
