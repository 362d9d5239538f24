// What the golden cases do not reach; the rest is held by
// tests/golden/control/decision_golden_test.cc.
#include "common/control/decision_parser.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace automot::control {
namespace {

const std::vector<double> kOffsets = {0.0, 1.0, 2.0};

Decision Parse(std::string_view text) { return ParseDecision(text, 0, kOffsets); }

TEST(ParseDecision, KnowsTheFourLongitudinalWords) {
  EXPECT_EQ(Parse(" stop, slow, keep").slots[0].longitudinal, LongitudinalAction::kStop);
  EXPECT_EQ(Parse(" stop, slow, keep").slots[1].longitudinal, LongitudinalAction::kSlow);
  EXPECT_EQ(Parse(" stop, slow, keep").slots[2].longitudinal, LongitudinalAction::kKeep);
  EXPECT_EQ(Parse(" accelerate").slots[0].longitudinal, LongitudinalAction::kAccelerate);
}

TEST(ParseDecision, KnowsTheFiveLateralPhrases) {
  const Decision a = Parse("turn left, slight left, go straight");
  EXPECT_EQ(a.slots[0].lateral, LateralAction::kTurnLeft);
  EXPECT_EQ(a.slots[1].lateral, LateralAction::kSlightLeft);
  EXPECT_EQ(a.slots[2].lateral, LateralAction::kGoStraight);
  EXPECT_EQ(a.slots[0].longitudinal, LongitudinalAction::kUnspecified);
  const Decision b = Parse("slight right, turn right");
  EXPECT_EQ(b.slots[0].lateral, LateralAction::kSlightRight);
  EXPECT_EQ(b.slots[1].lateral, LateralAction::kTurnRight);
}

TEST(ParseDecision, HasNoAliasesAndKeepsUnknownTextAsItIs) {
  for (const std::string word : {"decelerate", "Stop", "stopp", "sto", "constant", "stop slow"}) {
    const Decision decision = Parse(" " + word + " ");
    EXPECT_EQ(decision.slots[0].longitudinal, LongitudinalAction::kUnparsed) << word;
    EXPECT_EQ(decision.slots[0].text.view(), word);
  }
}

TEST(ParseDecision, LeavesMissingPartsOutAndIgnoresAFourth) {
  EXPECT_EQ(Parse("stop").slot_count, 1);
  EXPECT_EQ(Parse("stop,").slot_count, 2) << "an empty part is a part";
  EXPECT_EQ(Parse("").slot_count, 1);
  EXPECT_EQ(Parse("").slots[0].longitudinal, LongitudinalAction::kUnparsed);
  const Decision four = Parse("stop, keep, slow, accelerate");
  EXPECT_EQ(four.slot_count, 3);
  EXPECT_EQ(four.slots[2].longitudinal, LongitudinalAction::kSlow);
}

TEST(ParseDecision, DropsMarkersWhereverTheyAre) {
  const Decision decision = Parse("<|im_start|> st<|im_end|>op<|im_start|>, keep<|im_end|>");
  EXPECT_EQ(decision.slots[0].longitudinal, LongitudinalAction::kStop);
  EXPECT_EQ(decision.slots[1].longitudinal, LongitudinalAction::kKeep);
  EXPECT_EQ(Parse("<|im_star").slots[0].text.view(), "<|im_star");
}

TEST(ParseDecision, PutsSlotsAtTheCheckpointsTimesWithTheirProbabilities) {
  const Decision decision =
      ParseDecision("keep, bogus, stop", 5'000'000, {1.0, 1.5, 3.0}, {0.5F, 0.9F});
  EXPECT_EQ(decision.slots[0].time_us, 6'000'000);
  EXPECT_EQ(decision.slots[1].time_us, 6'500'000);
  EXPECT_EQ(decision.slots[2].time_us, 8'000'000);
  EXPECT_EQ(decision.slots[0].probability, 0.5F);
  EXPECT_EQ(decision.slots[1].probability, 0.0F) << "unparsed";
  EXPECT_EQ(decision.slots[2].probability, 0.0F) << "not given";
  EXPECT_EQ(ParseDecision("keep, stop", 0, {0.0}).slot_count, 1) << "no time, no slot";
}

TEST(ParseDecision, CutsLongTextBetweenCharacters) {
  const std::string text(30, 'a');
  EXPECT_EQ(Parse(text + "\xC3\xA9").slots[0].text.view(), text) << "an e with an accent";
  EXPECT_EQ(Parse(std::string(5000, 'x')).slots[0].text.view(), std::string(31, 'x'));
  EXPECT_EQ(Parse("stop" + std::string(500, ' ')).slots[0].longitudinal, LongitudinalAction::kStop);
  EXPECT_EQ(Parse("stop" + std::string(500, ' ') + "x").slots[0].longitudinal,
            LongitudinalAction::kUnparsed);
}

TEST(DecisionTokenSpan, OfNothingIsNothing) { EXPECT_TRUE(DecisionTokenSpan({}, 1, 2).empty()); }

}  // namespace
}  // namespace automot::control
