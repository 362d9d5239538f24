// Cases b: from raw camera frames and prompt tokens to every layer's keys and values.
#include "common/model/attention_mask.h"
#include "common/model/rotary.h"
#include "gtest/gtest.h"
#include "tests/golden/understanding_fixture.h"

namespace automot::golden {
namespace {

using model::InstructionMask;

struct Param {
  std::string name;
  InstructionMask mask;
};

class ContextGolden : public testing::TestWithParam<Param> {
 protected:
  ContextGolden() : golden_(GetParam().name), context_(RunSlowPath(golden_, GetParam().mask)) {}

  at::Tensor Positions() const {
    std::vector<at::Tensor> axes;
    for (const auto& axis : context_.sequence.positions)
      axes.push_back(at::tensor(axis, at::kLong));
    return at::stack(axes);
  }

  GoldenCase golden_;
  Context context_;
};

TEST_P(ContextGolden, FramesBecomePixelsAsTheReferenceMakesThem) {
  ExpectEqual(context_.resized_frames, golden_.Expected("resized_frames"), "resized_frames");
  ExpectClose(context_.pixel_values, golden_.Expected("pixel_values"), kPixelTolerance,
              "pixel_values");
}

TEST_P(ContextGolden, SequenceHasTheReferencesIdsPositionsAndMask) {
  const model::PromptSequence& sequence = context_.sequence;
  ExpectEqual(at::tensor(sequence.ids, at::kLong), golden_.Expected("input_ids"), "input_ids");
  ExpectEqual(Positions(), golden_.Expected("position_ids"), "position_ids");
  ExpectEqual(model::AllowedBySpans(sequence.spans), golden_.Expected("mask_allowed"),
              "mask_allowed");
  EXPECT_EQ(sequence.next_position, golden_.json().at("next_position").get<int64_t>());
}

TEST_P(ContextGolden, RotaryTablesAgreeWithTheReference) {
  const model::TextGeometry& text = TinyCheckpoint().geometry().text;
  const model::RotaryTable table =
      model::MultiAxisRotary(text, at::kCPU).Tables(Positions(), at::kFloat);
  at::Tensor sin = table.signed_sin.squeeze(1).clone();
  sin.narrow(1, 0, text.head_dim / 2).neg_();
  ExpectClose(table.cos.squeeze(1), golden_.Expected("rope_cos"), kRotaryTolerance, "rope_cos");
  ExpectClose(sin, golden_.Expected("rope_sin"), kRotaryTolerance, "rope_sin");
}

TEST_P(ContextGolden, KeysAndValuesOfEveryLayerAgreeWithTheReference) {
  ExpectClose(context_.keys, golden_.Expected("k_cache"), kCacheTolerance, "k_cache");
  ExpectClose(context_.values, golden_.Expected("v_cache"), kCacheTolerance, "v_cache");
}

INSTANTIATE_TEST_SUITE_P(Cases, ContextGolden,
                         testing::Values(Param{"b_slow_A", InstructionMask::kCausal},
                                         Param{"b_slow_B", InstructionMask::kCausal},
                                         Param{"b_slow_A_bidirectional",
                                               InstructionMask::kBidirectional}),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace automot::golden
