#include "tools/loadgen/tally.h"

#include <gtest/gtest.h>

namespace automot::loadgen {
namespace {

TEST(Tally, MergesEveryCount) {
  Tally one, two;
  one.Count(Outcome::kOnTime);
  two.Count(Outcome::kOnTime);
  two.Count(Outcome::kRefused);
  two.warm_up = 3;
  two.proven = 4;
  two.unproven = 5;
  two.wrong = 6;
  one.wrong_fields["session"] = 1;
  two.wrong_fields["session"] = 2;
  two.reasons["STALE"] = 7;
  two.failures["UNAVAILABLE"] = 8;
  two.acts["reset"] = 9;
  two.wrong_example = "an example";
  for (LatencyHistogram Tally::* const histogram :
       {&Tally::from_intended, &Tally::from_sent, &Tally::server_queue, &Tally::refusal,
        &Tally::retry_after, &Tally::staleness}) {
    (two.*histogram).Record(absl::Milliseconds(1));
  }
  one.Merge(two);
  EXPECT_EQ(one.intended(), 3U);
  EXPECT_EQ(one.count(Outcome::kOnTime), 2U);
  EXPECT_EQ(one.warm_up, 3U);
  EXPECT_EQ(one.proven, 4U);
  EXPECT_EQ(one.unproven, 5U);
  EXPECT_EQ(one.wrong, 6U);
  EXPECT_EQ(one.wrong_fields["session"], 3U);
  EXPECT_EQ(one.reasons["STALE"], 7U);
  EXPECT_EQ(one.failures["UNAVAILABLE"], 8U);
  EXPECT_EQ(one.acts["reset"], 9U);
  EXPECT_EQ(one.wrong_example, "an example");
  EXPECT_EQ(one.answered(), 1U);
  EXPECT_EQ(one.staleness.count(), 1U);
  EXPECT_EQ(one.retry_after.count(), 1U);
}

}  // namespace
}  // namespace automot::loadgen
