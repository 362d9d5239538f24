// start_session: held until the rollout has room.
#pragma once

#include <grpcpp/server_context.h>

#include "egodriver/egodriver.pb.h"
#include "services/egodriver/handlers/egodriver_context.h"

namespace automot::egodriver {

grpc::ServerUnaryReactor* HandleStartSession(const EgodriverContext& context,
                                             grpc::CallbackServerContext* call,
                                             const ::egodriver::DriveSessionRequest* request);

}  // namespace automot::egodriver
