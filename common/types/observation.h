// What a vehicle saw at one capture time, as plain structs. No proto, no tensor library.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/types/geometry.h"

namespace automot {

// Microseconds of session time: the client's clock, simulated or real (semantics 1). 0 is legal.
using SessionTimeUs = int64_t;

// Decoded picture. pixels: [height, width, 3], uint8, RGB, row-major, contiguous, CPU.
struct RgbImage {
  int width = 0;
  int height = 0;
  std::vector<uint8_t> pixels;
};

// One front-camera frame, decoded once and shared from then on.
struct CameraFrame {
  SessionTimeUs capture_time_us = 0;
  std::shared_ptr<const RgbImage> image;
  bool was_jpeg =
      false;  // true: the lossy round trip of spec 3.6 has already happened at the sender
};

inline constexpr int kLidarBins = 256;  // per axis, 4 bins per metre over [-32, 32) m

// LiDAR points, ego frame of their own capture time: x forward, y right, z up from the ground,
// metres.
struct LidarPoints {
  SessionTimeUs capture_time_us = 0;
  std::vector<float> xyz;  // [points, 3], contiguous
};

// Histogram of a sweep: [256 rows = y, 256 columns = x], uint8 counts clipped to 5 (spec 3.6).
struct LidarHistogram {
  SessionTimeUs capture_time_us = 0;
  std::vector<uint8_t> counts;  // 65536 values
  bool half_sweep = false;
};

struct EgoState {
  SessionTimeUs capture_time_us = 0;
  std::optional<Pose2> pose;             // in the local frame
  double speed_mps = 0.0;                // along x, metres per second
  std::optional<Vec2> velocity_mps;      // ego frame
  std::optional<double> yaw_rate_radps;  // positive to the right
};

// Navigation input (spec 5.3).
struct RouteTarget {
  Vec2 current;                 // target point, ego frame, metres
  Vec2 next;                    // the one after it, ego frame, metres
  uint64_t route_revision = 0;  // raised by the client on re-plan and on target switch
};

// Precomputed BEV feature instead of camera and LiDAR. values: [channels, 8, 8], float32, CPU.
struct BevFeature {
  int channels = 0;
  std::vector<float> values;
};

// LiDAR of one observation: points of a whole or half sweep, or a ready histogram of a whole one.
// Exactly one is set.
struct LidarMeasurement {
  std::shared_ptr<const LidarPoints> points;
  std::shared_ptr<const LidarHistogram> histogram;
  bool half_sweep = false;  // with points only
};

// A validated observation with decoded pictures. Copies share the payload.
struct Observation {
  SessionTimeUs capture_time_us = 0;       // of the ego state
  std::vector<CameraFrame> camera_frames;  // oldest first, may be empty
  std::optional<LidarMeasurement> lidar;   // absent: no LiDAR; present and empty: LiDAR saw nothing
  std::shared_ptr<const BevFeature>
      bev_feature;  // in place of camera and LiDAR for the action expert
  EgoState ego;
  RouteTarget target;
};

}  // namespace automot
