// Slow observations with one small recognisable camera frame.
#pragma once

#include <memory>
#include <utility>

#include "common/context/slow_observation.h"

namespace automot::fakes {

// A 4 x 2 picture of one brightness, which the fake expert takes as the frame's feature.
inline std::shared_ptr<const CameraFrame> FlatFrame(SessionTimeUs capture_time_us,
                                                    uint8_t brightness) {
  auto frame = std::make_shared<CameraFrame>();
  frame->capture_time_us = capture_time_us;
  frame->image = std::make_shared<const RgbImage>(
      RgbImage{.width = 4, .height = 2, .pixels = std::vector<uint8_t>(24, brightness)});
  return frame;
}

inline std::shared_ptr<context::SlowObservation> SlowObservationAt(uint64_t session,
                                                                   SessionTimeUs capture_time_us,
                                                                   uint8_t brightness,
                                                                   uint64_t sequence = 0) {
  auto observation = std::make_shared<context::SlowObservation>();
  observation->session = session;
  observation->episode = 1;
  observation->sequence = sequence;
  observation->frames = {FlatFrame(capture_time_us, brightness)};
  observation->ego = {.capture_time_us = capture_time_us, .speed_mps = 5.0};
  observation->target = {.current = {10.0, 1.0}, .next = {20.0, 2.0}, .route_revision = 3};
  return observation;
}

}  // namespace automot::fakes
