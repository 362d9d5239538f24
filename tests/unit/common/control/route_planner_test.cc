// What the golden case does not reach: short plans, ends, limits, bad input.
#include "common/control/route_planner.h"

#include <gtest/gtest.h>

#include <cmath>

namespace automot::control {
namespace {

RoutePlanner Planner(std::vector<PlanPoint> plan) {
  auto planner = RoutePlanner::Create(std::move(plan));
  EXPECT_TRUE(planner.ok()) << planner.status();
  return *std::move(planner);
}

TEST(RoutePlanner, TargetsTheNextTwoPointsInTheEgoFrame) {
  RoutePlanner planner = Planner({{{0, 0}}, {{0, 40}}, {{40, 40}}});
  // Heading down y: what lies there is ahead, what lies up x is to the left.
  const TargetPoints targets = planner.Step({{0, 0}, M_PI / 2});
  EXPECT_NEAR(targets.current.x, 40.0, 1e-9);
  EXPECT_NEAR(targets.current.y, 0.0, 1e-9);
  EXPECT_NEAR(targets.next.y, -40.0, 1e-9);
}

TEST(RoutePlanner, AimsPastTheLastPointAndStraightOnWithoutAny) {
  RoutePlanner two = Planner({{{0, 0}}, {{3, 4}}});
  EXPECT_NEAR(two.Step({}).next.x, 6.0, 1e-12);
  EXPECT_NEAR(two.Step({}).next.y, 8.0, 1e-12);
  RoutePlanner none = Planner({}), one = Planner({{{0, 0}}});
  for (RoutePlanner* planner : {&none, &one}) {
    EXPECT_EQ(planner->Step({}).current, (Vec2{50.0, 0.0}));
    EXPECT_NEAR(planner->Step({}).next.x, 55.0, 1e-9);
  }
}

TEST(RoutePlanner, StaysFiniteWhenItStandsOnItsLastPoint) {
  RoutePlanner planner = Planner({{{0, 0}}, {{3, 4}}});
  EXPECT_EQ(planner.Step({{3, 4}, 0.0}).next, (Vec2{5.0, 0.0}));
}

TEST(RoutePlanner, DropsToTheFarthestPointInReachButKeepsTwo) {
  RoutePlanner planner = Planner({{{0, 0}}, {{2, 0}}, {{7, 0}}, {{30, 0}}, {{60, 0}}});
  planner.Step({{0, 0}, 0.0});
  EXPECT_EQ(planner.remaining(), 3U) << "7 m is in reach and farther than 2 m";
  RoutePlanner end = Planner({{{0, 0}}, {{1, 0}}, {{2, 0}}});
  end.Step({});
  EXPECT_EQ(end.remaining(), 2U);
}

TEST(RoutePlanner, LooksNoFartherAlongThePlanThanFiftyMetres) {
  // The plan comes back to the ego after 80 m.
  RoutePlanner planner = Planner({{{0, 0}}, {{40, 0}}, {{40, 20}}, {{5, 5}}, {{0, 40}}});
  planner.Step({});
  EXPECT_EQ(planner.remaining(), 5U);
}

TEST(RoutePlanner, TakesTheLastPointOfAPlanEvenIfItIsALaneChange) {
  RoutePlanner planner = Planner({{{0, 0}}, {{20, 0}}, {{30, 0}, RoadOption::kChangeLaneLeft}});
  EXPECT_EQ(planner.Step({{19, 0}, 0.0}).current, (Vec2{11.0, 0.0}));
}

TEST(RoutePlanner, PopsPointsForAnEscapeAndKeepsWhatItIsTold) {
  std::vector<PlanPoint> plan;
  for (int i = 0; i < 7; ++i) plan.push_back({{30.0 * i, 0.0}});
  RoutePlanner planner = Planner(plan);
  planner.Pop(AgentRules::kEscapePops, AgentRules::kEscapeKeepsPoints);
  EXPECT_EQ(planner.remaining(), 3U);
  planner.Pop(AgentRules::kEscapePops, AgentRules::kEscapeKeepsPoints);
  EXPECT_EQ(planner.remaining(), 3U);
}

TEST(RoutePlanner, RefusesAPointThatIsNotFinite) {
  const auto planner = RoutePlanner::Create({{{0, 0}}, {{1, std::nan("")}}});
  EXPECT_EQ(planner.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(planner.status().message().find("plan[1].position"), std::string::npos);
}

TEST(GnssToLocal, IsTheOriginAtItsReferenceAndPointsSouthAndEast) {
  const GeoPoint reference{48.0, 11.0};
  EXPECT_EQ(GnssToLocal(reference, reference), (Vec2{0.0, -0.0}));
  EXPECT_GT(GnssToLocal({48.0, 11.001}, reference).x, 0.0);
  EXPECT_LT(GnssToLocal({48.001, 11.0}, reference).y, 0.0) << "north is negative";
}

}  // namespace
}  // namespace automot::control
