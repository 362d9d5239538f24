#include "services/planning/policy/time_rules.h"

#include <gtest/gtest.h>

#include <limits>

namespace automot::planning {
namespace {

constexpr SessionTimeUs kMin = std::numeric_limits<SessionTimeUs>::min();
constexpr SessionTimeUs kMax = std::numeric_limits<SessionTimeUs>::max();

TEST(CheckSessionTime, NamesFieldValueAndLimitWhenTimeRunsBack) {
  const auto back = CheckSessionTime(1'000'000, 999'999);
  ASSERT_EQ(back.status().code(), absl::StatusCode::kInvalidArgument);
  for (const char* part : {"observation.capture_time_us", "999999", "1000000"}) {
    EXPECT_NE(back.status().message().find(part), std::string::npos) << part;
  }
}

TEST(CheckSessionTime, SurvivesTimesWhoseDifferenceDoesNotFit) {
  EXPECT_TRUE(CheckSessionTime(kMin, kMax)->Has(Reason::kTimeJump));
  EXPECT_FALSE(CheckSessionTime(kMax, kMin).ok());
}

TEST(IsSkewed, FlagsFromAboveAHundredMillisecondsOnEitherSide) {
  EXPECT_FALSE(IsSkewed(500'000, 400'000));
  EXPECT_TRUE(IsSkewed(500'000, 399'999));
  EXPECT_FALSE(IsSkewed(500'000, 600'000));
  EXPECT_TRUE(IsSkewed(500'000, 600'001));
  EXPECT_TRUE(IsSkewed(kMin, kMax));
}

}  // namespace
}  // namespace automot::planning
