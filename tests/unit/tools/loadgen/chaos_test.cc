#include "tools/loadgen/chaos.h"

#include <gtest/gtest.h>

#include <map>
#include <vector>

namespace automot::loadgen {
namespace {

constexpr int kTicks = 10000;

std::vector<std::optional<ChaosAct>> ActsOf(const ChaosOptions& options, uint64_t vehicle) {
  Chaos chaos(options, vehicle);
  std::vector<std::optional<ChaosAct>> acts;
  for (int i = 0; i < kTicks; ++i) acts.push_back(chaos.Next());
  return acts;
}

TEST(Chaos, KeepsItsRateAndDrawsEveryAct) {
  const ChaosOptions options{.acts = {kChaosActs.begin(), kChaosActs.end()}, .rate = 0.1};
  std::map<ChaosAct, int> counts;
  int all = 0;
  for (const auto& act : ActsOf(options, 0)) {
    if (!act) continue;
    ++counts[*act];
    ++all;
  }
  EXPECT_NEAR(all, 1000, 150);  // five standard deviations
  for (const ChaosAct act : kChaosActs) EXPECT_GT(counts[act], 100) << ToString(act);
}

TEST(Chaos, SeedRepeatsItAndVehiclesDiffer) {
  const ChaosOptions options{.acts = {ChaosAct::kReset, ChaosAct::kCancel}, .rate = 0.1, .seed = 5};
  EXPECT_EQ(ActsOf(options, 1), ActsOf(options, 1));
  EXPECT_NE(ActsOf(options, 1), ActsOf(options, 2));
}

TEST(Chaos, NothingIsDoneUnasked) {
  for (const auto& act : ActsOf({.rate = 0.5}, 0)) EXPECT_FALSE(act);
  for (const auto& act : ActsOf({.acts = {ChaosAct::kReset}, .rate = 0.1}, 0)) {
    EXPECT_TRUE(!act || act == ChaosAct::kReset);
  }
}

TEST(Chaos, ReadsNamesAndRefusesOthers) {
  const auto acts = ParseChaos("disconnect,reopen");
  ASSERT_TRUE(acts.ok());
  EXPECT_EQ(*acts, (std::set<ChaosAct>{ChaosAct::kDisconnect, ChaosAct::kReopen}));
  EXPECT_TRUE(ParseChaos("")->empty());
  EXPECT_TRUE(absl::IsInvalidArgument(ParseChaos("reset,earthquake").status()));
}

}  // namespace
}  // namespace automot::loadgen
