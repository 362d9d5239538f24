// A planned drive -> egodriver.DriveResponse.
#pragma once

#include "absl/time/time.h"
#include "egodriver/egodriver.pb.h"
#include "services/egodriver/egodriver_engine.h"

namespace automot::egodriver {

// `answer` is OK. The CARLA-side client gets a CarlaDriveDebugInfo; for others that field stays
// empty, because alpasim's evaluation unpickles what is in it. A session is never terminated.
void DriveResponseFor(const DriveAnswer& answer, bool speaks_carla, absl::Duration took,
                      ::egodriver::DriveResponse* response);

}  // namespace automot::egodriver
