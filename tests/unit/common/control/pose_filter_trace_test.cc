// The recording that the Python client's port of the filter is held to (tests/data/carla): neither
// implementation can move without the other's test saying so.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "common/control/pose_filter.h"

namespace automot::control {
namespace {

constexpr double kTolerance = 1e-6;

double Number(const nlohmann::json& value) {
  return value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>();
}

VehicleState State(const nlohmann::json& values) {
  return {{{Number(values[0]), Number(values[1])}, Number(values[2])}, Number(values[3])};
}

TEST(PoseFilterTrace, EveryTickIsTheRecordings) {
  std::ifstream in(AUTOMOT_SOURCE_DIR "/tests/data/carla/pose_filter.json");
  const nlohmann::json ticks = nlohmann::json::parse(in)["ticks"];
  ASSERT_EQ(ticks.size(), 240U);
  PoseFilter filter;
  for (std::size_t i = 0; i < ticks.size(); ++i) {
    const nlohmann::json& applied = ticks[i]["applied"];
    const VehicleState state =
        filter.Step(State(ticks[i]["measured"]),
                    {.steer = applied[0], .throttle = applied[1], .brake = applied[2]});
    const VehicleState expected = State(ticks[i]["filtered"]);
    EXPECT_NEAR(state.pose.position.x, expected.pose.position.x, kTolerance) << "tick " << i;
    EXPECT_NEAR(state.pose.position.y, expected.pose.position.y, kTolerance) << "tick " << i;
    EXPECT_NEAR(state.pose.yaw_rad, expected.pose.yaw_rad, kTolerance) << "tick " << i;
    EXPECT_NEAR(state.speed_mps, expected.speed_mps, kTolerance) << "tick " << i;
  }
}

}  // namespace
}  // namespace automot::control
