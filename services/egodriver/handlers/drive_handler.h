// drive: one plan, answered asynchronously.
#pragma once

#include <grpcpp/server_context.h>

#include "egodriver/egodriver.pb.h"
#include "services/egodriver/handlers/egodriver_context.h"

namespace automot::egodriver {

grpc::ServerUnaryReactor* HandleDrive(const EgodriverContext& context,
                                      const ::egodriver::DriveRequest* request,
                                      ::egodriver::DriveResponse* response);

}  // namespace automot::egodriver
