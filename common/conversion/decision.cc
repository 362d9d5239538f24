#include "common/conversion/decision.h"

#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"

namespace automot::conversion {
namespace {

constexpr std::size_t kMaxTextBytes = 31;

// Both enums count as the wire does.
static_assert(static_cast<int>(LongitudinalAction::kUnspecified) ==
              v1::LONGITUDINAL_ACTION_UNSPECIFIED);
static_assert(static_cast<int>(LongitudinalAction::kAccelerate) ==
              v1::LONGITUDINAL_ACTION_ACCELERATE);
static_assert(static_cast<int>(LateralAction::kTurnLeft) == v1::LATERAL_ACTION_TURN_LEFT);
static_assert(static_cast<int>(LateralAction::kTurnRight) == v1::LATERAL_ACTION_TURN_RIGHT);

absl::Status CheckSlot(const v1::DecisionSlot& slot) {
  if (!v1::LongitudinalAction_IsValid(slot.longitudinal())) {
    return absl::InvalidArgumentError(
        absl::StrCat("decision.slots.longitudinal is ", slot.longitudinal(), ", which is unknown"));
  }
  if (!v1::LateralAction_IsValid(slot.lateral())) {
    return absl::InvalidArgumentError(
        absl::StrCat("decision.slots.lateral is ", slot.lateral(), ", which is unknown"));
  }
  if (slot.text().size() > kMaxTextBytes) {
    return absl::InvalidArgumentError(absl::StrCat("decision.slots.text has ", slot.text().size(),
                                                   " bytes; the limit is ", kMaxTextBytes));
  }
  if (!(slot.probability() >= 0.0F && slot.probability() <= 1.0F)) {
    return absl::InvalidArgumentError(absl::StrCat("decision.slots.probability is ",
                                                   slot.probability(), "; it must be in [0, 1]"));
  }
  return absl::OkStatus();
}

}  // namespace

void DecisionToProto(const Decision& decision, v1::Decision* proto) {
  for (std::size_t i = 0; i < decision.slot_count; ++i) {
    const DecisionSlot& slot = decision.slots.at(i);
    v1::DecisionSlot* out = proto->add_slots();
    out->set_time_us(slot.time_us);
    out->set_longitudinal(static_cast<v1::LongitudinalAction>(slot.longitudinal));
    if (slot.lateral != LateralAction::kUnspecified) {
      out->set_lateral(static_cast<v1::LateralAction>(slot.lateral));
    }
    out->set_text(slot.text.view().data(), slot.text.view().size());
    out->set_probability(slot.probability);
  }
}

absl::StatusOr<Decision> DecisionFromProto(const v1::Decision& proto) {
  if (proto.slots_size() > kDecisionSlots) {
    return absl::InvalidArgumentError(absl::StrCat("decision.slots has ", proto.slots_size(),
                                                   " entries; the limit is ", kDecisionSlots));
  }
  Decision decision;
  for (const v1::DecisionSlot& in : proto.slots()) {
    AUTOMOT_RETURN_IF_ERROR(CheckSlot(in));
    DecisionSlot& slot = decision.slots.at(decision.slot_count++);
    slot.time_us = in.time_us();
    slot.longitudinal = static_cast<LongitudinalAction>(in.longitudinal());
    slot.lateral = static_cast<LateralAction>(in.lateral());
    slot.text.Assign(in.text());
    slot.probability = in.probability();
  }
  return decision;
}

}  // namespace automot::conversion
