#include "tools/replay/message_difference.h"

#include <gtest/gtest.h>

#include <limits>

#include "automot/v1/planning_service.pb.h"

namespace automot::tools {
namespace {

v1::PlanResponse Answer() {
  v1::PlanResponse answer;
  answer.set_session("car");
  answer.set_sequence(7);
  for (int i = 0; i < 3; ++i) answer.mutable_trajectory()->add_route()->set_x(i + 0.5);
  answer.mutable_provenance()->mutable_timing()->set_total_s(1.0);
  answer.mutable_provenance()->add_reasons(v1::REASON_STALE);
  return answer;
}

std::optional<FieldDifference> Compare(const v1::PlanResponse& replayed, double tolerance = 0.0) {
  return FirstDifference(Answer(), replayed, {tolerance, {"provenance.timing"}});
}

TEST(FirstDifference, IsNoneBetweenEqualMessagesAndInWhatIsIgnored) {
  v1::PlanResponse answer = Answer();
  answer.mutable_provenance()->mutable_timing()->set_total_s(2.0);
  EXPECT_FALSE(Compare(answer));
}

TEST(FirstDifference, NamesPathAndValues) {
  v1::PlanResponse answer = Answer();
  answer.mutable_trajectory()->mutable_route(1)->set_x(1.5000000000000002);
  const auto difference = Compare(answer);
  ASSERT_TRUE(difference);
  EXPECT_EQ(difference->field, "trajectory.route[1].x");
  EXPECT_EQ(difference->recorded, "1.5");
  EXPECT_EQ(difference->replayed, "1.5000000000000002");
  EXPECT_FALSE(Compare(answer, 1e-9));
}

TEST(FirstDifference, SeesLengthsPresenceTextAndEnums) {
  v1::PlanResponse answer = Answer();
  answer.mutable_trajectory()->add_route();
  EXPECT_EQ(Compare(answer)->replayed, "4 elements");
  answer = Answer();
  answer.mutable_provenance()->set_snapshot_capture_time_us(0);
  EXPECT_EQ(Compare(answer)->field, "provenance.snapshot_capture_time_us");
  EXPECT_EQ(Compare(answer)->recorded, "absent");
  answer = Answer();
  answer.set_session("bus");
  EXPECT_EQ(Compare(answer)->replayed, "\"bus\"");
  answer = Answer();
  answer.mutable_provenance()->set_reasons(0, v1::REASON_EXPIRED);
  EXPECT_EQ(Compare(answer)->replayed, "REASON_EXPIRED");
}

TEST(FirstDifference, NotANumberEqualsItselfAndZerosHaveSigns) {
  v1::PlanResponse a = Answer();
  a.mutable_trajectory()->mutable_route(0)->set_x(std::numeric_limits<double>::quiet_NaN());
  EXPECT_FALSE(FirstDifference(a, a, {}));
  a.mutable_trajectory()->mutable_route(0)->set_x(0.0);
  v1::PlanResponse b = a;
  b.mutable_trajectory()->mutable_route(0)->set_x(-0.0);
  EXPECT_TRUE(FirstDifference(a, b, {}));
}

}  // namespace
}  // namespace automot::tools
