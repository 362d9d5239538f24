// The rule layer tick by tick against the reference, cases f_agent_rules_*.
#include <cmath>

#include "common/control/agent_rules.h"
#include "tests/golden/control/control_case.h"

namespace automot::control {
namespace {

// Expected values of every tick, by name.
class ExpectedTicks {
 public:
  explicit ExpectedTicks(const ControlCase& golden) {
    for (const char* name :
         {"steer", "throttle", "brake", "stuck_detector", "force_move", "escape_active",
          "escape_timer", "escape_cooldown", "parking_start_detected", "override_tp_x",
          "override_tp_y", "override_ntp_x", "override_ntp_y"}) {
      values_[name] = golden.Expected<double>(name);
    }
  }
  double At(const std::string& name, std::size_t tick) const { return values_.at(name).at(tick); }

 private:
  std::map<std::string, std::vector<double>> values_;
};

void ExpectOverride(const AgentRules::Preparation& actual, const ExpectedTicks& expected,
                    std::size_t tick) {
  const bool wanted = !std::isnan(expected.At("override_tp_x", tick));
  ASSERT_EQ(actual.target_override.has_value(), wanted) << "tick " << tick;
  if (!wanted) return;
  EXPECT_EQ(actual.target_override->current,
            (Vec2{expected.At("override_tp_x", tick), expected.At("override_tp_y", tick)}));
  EXPECT_EQ(actual.target_override->next,
            (Vec2{expected.At("override_ntp_x", tick), expected.At("override_ntp_y", tick)}));
}

void ExpectState(const AgentRules::State& actual, const ExpectedTicks& expected, std::size_t tick) {
  EXPECT_EQ(actual.stuck_ticks, expected.At("stuck_detector", tick)) << "tick " << tick;
  EXPECT_EQ(actual.force_move_ticks, expected.At("force_move", tick)) << "tick " << tick;
  EXPECT_EQ(actual.escaping, expected.At("escape_active", tick) != 0) << "tick " << tick;
  EXPECT_EQ(actual.escape_ticks_left, expected.At("escape_timer", tick)) << "tick " << tick;
  EXPECT_EQ(actual.escape_cooldown_ticks, expected.At("escape_cooldown", tick)) << "tick " << tick;
  EXPECT_EQ(actual.parking_start, expected.At("parking_start_detected", tick) != 0)
      << "tick " << tick;
}

class GoldenAgentRules : public ::testing::TestWithParam<const char*> {};

TEST_P(GoldenAgentRules, EveryTickIsTheReferences) {
  const ControlCase golden(std::string("f_agent_rules_") + GetParam());
  const auto speed = golden.Input<double>("speed"), compass = golden.Input<double>("compass");
  const auto x = golden.Input<double>("x"), y = golden.Input<double>("y");
  const std::vector<Trajectory> cycle = golden.Trajectories();
  const ExpectedTicks expected(golden);
  AgentRules rules;
  for (std::size_t tick = 0; tick < speed.size() && !HasFailure(); ++tick) {
    const auto prepared = rules.BeforePlan({{x[tick], y[tick]}, compass[tick]}, speed[tick]);
    const ControlCommand command =
        prepared.warming_up ? prepared.command : rules.AfterPlan(cycle[tick % cycle.size()]);
    EXPECT_NEAR(command.steer, expected.At("steer", tick), kSteerTolerance) << "tick " << tick;
    EXPECT_NEAR(command.throttle, expected.At("throttle", tick), kThrottleTolerance)
        << "tick " << tick;
    EXPECT_EQ(command.brake, expected.At("brake", tick)) << "tick " << tick;
    ExpectOverride(prepared, expected, tick);
    ExpectState(rules.state(), expected, tick);
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, GoldenAgentRules,
                         ::testing::Values("stuck", "parked", "escape_heading", "escape_distance"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace automot::control
