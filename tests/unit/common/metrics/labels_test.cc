#include "common/metrics/labels.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "absl/status/status.h"

namespace automot::metrics {
namespace {

std::string RateLabel(double rate_hz) { return kRateHzLabels.at(RateIndex(rate_hz)); }

TEST(LabelsTest, NamesTheDeclaredRates) {
  EXPECT_EQ(RateLabel(1.0), "1");
  EXPECT_EQ(RateLabel(10.0), "10");
  EXPECT_EQ(RateLabel(100.0), "100");
  EXPECT_EQ(RateLabel(1e6 / 50'000.0), "20");
  EXPECT_EQ(RateLabel(19.9), "20");
}

TEST(LabelsTest, EveryOtherRateIsOther) {
  for (const double rate : {0.0, -5.0, 2.5, 30.0, 1e9, std::numeric_limits<double>::quiet_NaN()}) {
    EXPECT_EQ(RateLabel(rate), "other") << rate;
  }
}

TEST(LabelsTest, NamesTheStatusCodes) {
  EXPECT_STREQ(kCodeLabels.at(CodeIndex(static_cast<int>(absl::StatusCode::kOk))), "ok");
  EXPECT_STREQ(kCodeLabels.at(CodeIndex(static_cast<int>(absl::StatusCode::kResourceExhausted))),
               "resource_exhausted");
  EXPECT_STREQ(kCodeLabels.at(CodeIndex(static_cast<int>(absl::StatusCode::kUnauthenticated))),
               "unauthenticated");
  EXPECT_STREQ(kCodeLabels.at(CodeIndex(99)), "unknown");
  EXPECT_STREQ(kCodeLabels.at(CodeIndex(-1)), "unknown");
}

}  // namespace
}  // namespace automot::metrics
