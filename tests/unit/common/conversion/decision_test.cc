#include "common/conversion/decision.h"

#include <gtest/gtest.h>

#include <cmath>

namespace automot::conversion {
namespace {

Decision TwoSlots() {
  Decision decision;
  decision.slot_count = 2;
  decision.slots[0] = {.time_us = 0,
                       .longitudinal = LongitudinalAction::kStop,
                       .lateral = LateralAction::kSlightRight,
                       .text = InlineText<31>("stop slight right"),
                       .probability = 0.25F};
  decision.slots[1] = {.time_us = 1'000'000,
                       .longitudinal = LongitudinalAction::kUnparsed,
                       .text = InlineText<31>("hm"),
                       .probability = 0.0F};
  return decision;
}

TEST(DecisionConversion, RoundTripKeepsEverySlot) {
  v1::Decision proto;
  DecisionToProto(TwoSlots(), &proto);
  EXPECT_FALSE(proto.slots(1).has_lateral()) << "absent, never a default";
  const auto back = DecisionFromProto(proto);
  ASSERT_TRUE(back.ok()) << back.status();
  ASSERT_EQ(back->slot_count, 2);
  for (std::size_t i = 0; i < 3; ++i) {
    const DecisionSlot& slot = back->slots.at(i);
    const DecisionSlot expected = TwoSlots().slots.at(i);
    EXPECT_EQ(slot.time_us, expected.time_us);
    EXPECT_EQ(slot.longitudinal, expected.longitudinal);
    EXPECT_EQ(slot.lateral, expected.lateral);
    EXPECT_EQ(slot.text, expected.text);
    EXPECT_EQ(slot.probability, expected.probability);
  }
}

TEST(DecisionConversion, BadSlotsNameFieldValueAndLimit) {
  v1::Decision proto;
  for (int i = 0; i < 4; ++i) proto.add_slots();
  EXPECT_EQ(DecisionFromProto(proto).status(),
            absl::InvalidArgumentError("decision.slots has 4 entries; the limit is 3"));
  proto.clear_slots();
  v1::DecisionSlot* slot = proto.add_slots();
  slot->set_probability(std::nanf(""));
  EXPECT_TRUE(absl::IsInvalidArgument(DecisionFromProto(proto).status()));
  slot->set_probability(1.5F);
  EXPECT_EQ(DecisionFromProto(proto).status(),
            absl::InvalidArgumentError("decision.slots.probability is 1.5; it must be in [0, 1]"));
  slot->set_probability(1.0F);
  slot->set_text(std::string(32, 'x'));
  EXPECT_EQ(DecisionFromProto(proto).status(),
            absl::InvalidArgumentError("decision.slots.text has 32 bytes; the limit is 31"));
  slot->clear_text();
  slot->set_longitudinal(static_cast<v1::LongitudinalAction>(77));
  EXPECT_TRUE(absl::IsInvalidArgument(DecisionFromProto(proto).status()));
}

}  // namespace
}  // namespace automot::conversion
