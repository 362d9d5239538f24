#include "services/egodriver/handlers/drive_handler.h"

#include <memory>
#include <optional>
#include <utility>

#include "common/status/status_macros.h"
#include "services/egodriver/handlers/held_call.h"
#include "services/egodriver/handlers/observation_conversion.h"
#include "services/egodriver/handlers/plan_conversion.h"

namespace automot::egodriver {
namespace {

struct DriveStart {
  std::shared_ptr<Rollout> rollout;
  SessionTimeUs now_us = 0;
  std::optional<LidarMeasurement> lidar;
};

absl::StatusOr<DriveStart> Read(const EgodriverContext& context,
                                const ::egodriver::DriveRequest& request) {
  DriveStart start;
  AUTOMOT_ASSIGN_OR_RETURN(start.rollout, context.engine->Find(request.session_uuid()));
  AUTOMOT_ASSIGN_OR_RETURN(start.now_us, TimeFromProto("time_now_us", request.time_now_us()));
  // Other runtimes put bytes of their own there, which are not ours to read.
  if (start.rollout->request().speaks_carla) {
    start.lidar = LidarFromRendererData(request.renderer_data(), context.engine->origin_ahead_m(),
                                        start.now_us);
  }
  return start;
}

}  // namespace

grpc::ServerUnaryReactor* HandleDrive(const EgodriverContext& context,
                                      const ::egodriver::DriveRequest* request,
                                      ::egodriver::DriveResponse* response) {
  auto* held = new HeldCall(context, Method::kDrive);  // deletes itself
  absl::StatusOr<DriveStart> start = Read(context, *request);
  if (!start.ok()) {
    held->Answer(start.status());
    return held;
  }
  const bool speaks_carla = start->rollout->request().speaks_carla;
  context.engine->Drive(start->rollout, start->now_us, std::move(start->lidar), held->cancelled(),
                        [held, speaks_carla, response](const DriveAnswer& answer) {
                          if (answer.status.ok()) {
                            DriveResponseFor(answer, speaks_carla, held->Took(), response);
                          }
                          held->Answer(answer.status);
                        });
  return held;
}

}  // namespace automot::egodriver
