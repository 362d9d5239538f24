// Many vehicles, sessions reset, closed, reopened and taken over, plans given up, connections
// dropped, the server killed: no answer is made of another vehicle's observation or context.
#include <cstdlib>

#include "tests/integration/loadgen/synthetic_fixture.h"
#include "tools/loadgen/report.h"

namespace automot::loadgen {
namespace {

constexpr int kVehicles = 64;
constexpr int kRestarts = 3;

int64_t Requests() {
  const bool longer = std::getenv("AUTOMOT_LONG_TESTS") != nullptr;
  return longer ? 100'000 : 10'000;
}

class IsolationTest : public ::testing::TestWithParam<Mode> {};

TEST_P(IsolationTest, NoAnswerIsAnothers) {
  // Slow enough for batches to form.
  SyntheticServer server(
      {"--reasoning-ms", "20", "--expert-ms", "0.8", "--expert-batch-ms", "0.05"});
  LoadOptions options = SmallLoad(server.address());
  options.vehicles = kVehicles;
  options.requests = Requests() / 2;  // in each mode
  options.mode = GetParam();
  options.chaos = EveryAct(0.05);
  int restarts = 0;
  const auto kill_now_and_then = [&](absl::Duration, const Tally& so_far) {
    const auto due = static_cast<uint64_t>(options.requests * (restarts + 1) / (kRestarts + 1));
    if (restarts >= kRestarts || so_far.intended() < due) return;
    ++restarts;
    server.KillAndRestart();
  };
  const auto result = RunLoad(options, kill_now_and_then, nullptr);
  ASSERT_TRUE(result.ok()) << result.status();
  const Tally& tally = result->tally;
  EXPECT_EQ(tally.wrong, 0U) << tally.wrong_example;
  EXPECT_EQ(tally.intended(), static_cast<uint64_t>(options.requests))
      << "each tick has an outcome";
  EXPECT_GE(restarts, 1);
  // Enough was proven for the zero to mean something. How many calls fail is a matter of how soon a
  // killed server is back.
  EXPECT_GT(tally.proven, tally.intended() / 2) << SummaryOf(*result, {});
  EXPECT_GT(tally.acts.at("reset"), 0U);
  EXPECT_GT(tally.acts.at("disconnect"), 0U);
  EXPECT_GT(tally.acts.at("cancel"), 0U);
  EXPECT_GT(tally.acts.at("reopen"), 0U);
  RecordProperty("proven", std::to_string(tally.proven));
  RecordProperty("restarts", restarts);
}

INSTANTIATE_TEST_SUITE_P(Modes, IsolationTest, ::testing::Values(Mode::kUnary, Mode::kStream),
                         [](const auto& info) {
                           return info.param == Mode::kUnary ? "Unary" : "Stream";
                         });

}  // namespace
}  // namespace automot::loadgen
