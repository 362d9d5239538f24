#include "common/control/target_point_rule.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace automot::control {
namespace {

std::vector<Vec2> StraightRoute(double from, double to, double spacing) {
  std::vector<Vec2> route;
  for (double x = from; x <= to + 1e-9; x += spacing) route.push_back({x, 0.0});
  return route;
}

TargetPointRule::Selection Select(const std::string& rule, const std::vector<Vec2>& route,
                                  double travelled_m = 0.0) {
  const auto parsed = TargetPointRule::Parse(rule);
  EXPECT_TRUE(parsed.ok()) << parsed.status();
  return parsed->Select(route, travelled_m);
}

// tests/data/target_points.json holds what the Python bridge selects; its own test reads it too.
TEST(TargetPointRuleTest, SelectsWhatTheBridgeSelects) {
  std::ifstream file(AUTOMOT_SOURCE_DIR "/tests/data/target_points.json");
  ASSERT_TRUE(file.is_open());
  const nlohmann::json data = nlohmann::json::parse(file);
  ASSERT_GT(data["cases"].size(), 40U);
  for (const nlohmann::json& json : data["cases"]) {
    const Pose2 pose{{json["pose"][0], json["pose"][1]}, json["pose"][2]};
    std::vector<Vec2> route;
    double travelled = 0.0;
    const std::size_t index = json["index"];
    for (std::size_t i = 0; i < data["route"].size(); ++i) {
      const Vec2 here{data["route"][i][0], data["route"][i][1]};
      route.push_back(LocalToEgo(pose, here));
      if (i == 0 || i > index) continue;
      travelled += std::hypot(route[i].x - route[i - 1].x, route[i].y - route[i - 1].y);
    }
    const auto selection = Select(json["rule"], route, travelled);
    const std::string where = json["rule"].get<std::string>() + " at " + std::to_string(index);
    EXPECT_NEAR(selection.targets.current.x, json["targets"][0][0], 0.02) << where;
    EXPECT_NEAR(selection.targets.current.y, json["targets"][0][1], 0.02) << where;
    EXPECT_NEAR(selection.targets.next.x, json["targets"][1][0], 0.02) << where;
    EXPECT_NEAR(selection.targets.next.y, json["targets"][1][1], 0.02) << where;
    EXPECT_EQ(selection.switches, json["switches"]) << where;
  }
}

TEST(TargetPointRuleTest, AVehicleBesideItsRouteLooksAlongIt) {
  std::vector<Vec2> route = StraightRoute(-10.0, 60.0, 4.0);
  for (Vec2& point : route) point.y = 1.5;
  const auto targets = Select("route_distance:8,20", route).targets;
  EXPECT_NEAR(targets.current.x, 8.0, 1e-9);
  EXPECT_NEAR(targets.current.y, 1.5, 1e-9);
  EXPECT_NEAR(targets.next.x, 20.0, 1e-9);
}

TEST(TargetPointRuleTest, ARouteThatBeginsAheadIsReachedStraight) {
  const std::vector<Vec2> route = {{40.0, 0.0}, {40.0, 40.0}};
  const auto targets = Select("route_distance:8,50", route).targets;
  EXPECT_NEAR(targets.current.x, 8.0, 1e-9);
  EXPECT_NEAR(targets.next.x, 40.0, 1e-9);
  EXPECT_NEAR(targets.next.y, 10.0, 1e-9);
}

TEST(TargetPointRuleTest, WithoutARouteTheWayIsStraightAhead) {
  for (const std::vector<Vec2>& route :
       {std::vector<Vec2>{}, {{0.0, 0.0}}, {{0.0, 0.0}, {0.0, 0.0}}}) {
    EXPECT_EQ(Select("route_distance:8,20", route).targets.current, (Vec2{8.0, 0.0}));
    EXPECT_EQ(Select("route_distance:8,20", route).targets.next, (Vec2{20.0, 0.0}));
    EXPECT_EQ(Select("carla_route_planner", route).targets.current, (Vec2{50.0, 0.0}));
  }
}

TEST(TargetPointRuleTest, BeyondTheRoutesEndTheWayGoesOnStraight) {
  const std::vector<Vec2> route = {{0.0, 0.0}, {6.0, 0.0}, {6.0, 4.0}};
  const auto targets = Select("route_distance:8,20", route).targets;
  EXPECT_NEAR(targets.current.y, 2.0, 1e-9);
  EXPECT_NEAR(targets.next.x, 6.0, 1e-9);
  EXPECT_NEAR(targets.next.y, 14.0, 1e-9);
  // Driven past its end: on along its last direction.
  const auto past = Select("route_distance:8,20", {{-9.0, 0.0}, {-3.0, 0.0}}).targets;
  EXPECT_NEAR(past.current.x, 5.0, 1e-9);
}

TEST(TargetPointRuleTest, PlanPointsStayWhereTheyAreAndSwitchBeforeTheyAreReached) {
  int64_t switches = 0;
  for (double travelled = 0.0; travelled < 120.0; travelled += 0.5) {
    // The client's window slides with the vehicle.
    const auto selection = Select("plan_points:50", StraightRoute(0.0, 80.0, 2.0), travelled);
    EXPECT_NEAR(selection.targets.current.x + travelled, 50.0 * (selection.switches + 1), 1e-9);
    EXPECT_GE(selection.targets.current.x, 7.5 - 1e-9);
    EXPECT_GE(selection.targets.next.x, selection.targets.current.x + 4.9);
    EXPECT_GE(selection.switches, switches);
    switches = selection.switches;
  }
  EXPECT_EQ(switches, 2);
}

TEST(TargetPointRuleTest, BadTextsAreRefused) {
  for (const char* text : {"", "route_distance:8", "route_distance:20,8", "route_distance:8,nan",
                           "plan_points:0", "plan_points:5,6", "plan_points:inf", "nearest"}) {
    const auto rule = TargetPointRule::Parse(text);
    EXPECT_TRUE(absl::IsInvalidArgument(rule.status())) << text;
  }
}

}  // namespace
}  // namespace automot::control
