// A unary call that is answered later: its cancellation as a flag, its wall time as a metric.
#pragma once

#include <grpcpp/support/server_callback.h>

#include <atomic>
#include <memory>

#include "common/rpc/status_conversion.h"
#include "services/egodriver/handlers/egodriver_context.h"

namespace automot::egodriver {

// Deletes itself. Whoever starts it calls Answer once.
class HeldCall final : public grpc::ServerUnaryReactor {
 public:
  HeldCall(const EgodriverContext& context, Method method)
      : context_(context), method_(method), arrived_(context.clock->Now()) {}

  const CancelFlag& cancelled() const { return cancelled_; }
  absl::Duration Took() const { return context_.clock->Now() - arrived_; }

  void Answer(const absl::Status& status) {
    context_.metrics->ObserveRpc(method_, status.code(), absl::ToDoubleSeconds(Took()));
    Finish(rpc::ToGrpcStatus(status));
  }

  void OnCancel() override {
    cancelled_->store(true, std::memory_order_release);
    context_.engine->NoticeCancellation();
  }
  void OnDone() override { delete this; }

 private:
  const EgodriverContext& context_;
  const Method method_;
  const absl::Duration arrived_;
  const CancelFlag cancelled_ = std::make_shared<std::atomic<bool>>(false);
};

}  // namespace automot::egodriver
