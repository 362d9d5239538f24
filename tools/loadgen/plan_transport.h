// One tick's way to the server and back, unary or over a stream. Not thread-safe; belongs to one
// vehicle, whose session it uses.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "automot/v1/planning_service.pb.h"
#include "tools/loadgen/cancel_timer.h"
#include "tools/loadgen/vehicle_session.h"

namespace automot::loadgen {

// How a tick ended. `answer` is set where code is OK, and valid during the call.
struct TickEnd {
  uint64_t sequence = 0;
  grpc::StatusCode code = grpc::OK;
  std::string message;
  absl::Duration retry_after;  // above zero where refused for load
  const automot::v1::PlanResponse* answer = nullptr;
};
using OnTickEnd = std::function<void(const TickEnd&)>;

struct TickOrder {
  absl::Time deadline;                         // wall
  std::optional<absl::Duration> cancel_after;  // gives the tick up
  bool leave_unread = false;                   // streams: this tick's answer is read later
};

class PlanTransport {
 public:
  virtual ~PlanTransport() = default;
  // Calls `ended` for this tick, and for earlier ones that were left unread, before it returns (but
  // for those that are left unread now).
  virtual void Send(const automot::v1::PlanRequest& request, const TickOrder& order,
                    const OnTickEnd& ended) = 0;
  // Ends what is left unread. Before the session's connection goes.
  virtual void Finish(const OnTickEnd& ended) = 0;
};

// `session` and `timer` outlive the transport.
std::unique_ptr<PlanTransport> UnaryTransport(VehicleSession* session, CancelTimer* timer);
std::unique_ptr<PlanTransport> StreamTransport(VehicleSession* session, CancelTimer* timer);

}  // namespace automot::loadgen
