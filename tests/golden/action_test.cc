// Cases d and e: the action expert on a given context, and on contexts made from raw frames.
#include "absl/strings/str_cat.h"
#include "common/model/attention_mask.h"
#include "common/model/decision_decoder.h"
#include "gtest/gtest.h"
#include "tests/golden/understanding_fixture.h"

namespace automot::golden {
namespace {

using model::ActionContext;
using model::ActionModel;
using model::ContextForm;
using model::ContextUse;

std::unique_ptr<const ActionModel> LoadModel(model::DecisionLogits logits) {
  auto loaded = ActionModel::Load(TinyCheckpoint(), TinyTokenizer(), {{}, logits});
  if (!loaded.ok()) throw std::runtime_error(std::string(loaded.status().message()));
  return std::move(loaded).value();
}

const ActionModel& TinyActionModel() {
  static const auto* const kModel = new auto(LoadModel(model::DecisionLogits::kFull));
  return **kModel;
}

model::ActionInputs InputsOf(const GoldenCase& golden) {
  const bool batched = golden.Input("bev_feature").dim() == 4;
  const auto batch = [&](const char* name) {
    const at::Tensor tensor = golden.Input(name);
    return batched ? tensor : tensor.unsqueeze(0);
  };
  return {batch("bev_feature"), batch("target_points"),
          batched ? golden.Input("speed") : golden.Input("speed").view({1})};
}

void ExpectOutput(const GoldenCase& golden, const std::string& prefix,
                  const model::ActionOutput& output) {
  const auto compare = [&](const at::Tensor& actual, const std::string& name, double tolerance) {
    const at::Tensor expected = golden.Expected(prefix + name);
    const bool batched = expected.dim() == actual.dim();
    ExpectClose(batched ? actual : actual.squeeze(0), expected, tolerance, prefix + name);
  };
  if (output.hidden.defined()) compare(output.hidden, "hidden", kHiddenTolerance);
  compare(output.decision.logits, "logits", kLogitsTolerance);
  compare(output.decision.ids, "pred_ids", 0);
  compare(output.route_raw, "route_raw", kPointTolerance);
  compare(output.route, "route", kPointTolerance);
  compare(output.wp_offsets, "wp_offsets", kPointTolerance);
  compare(output.waypoints, "waypoints", kPointTolerance);
}

std::string WithoutMarkers(const at::Tensor& ids) {
  const at::Tensor row = ids.contiguous();
  return model::DecodeDecision({row.data_ptr<int64_t>(), static_cast<size_t>(row.numel())}, {},
                               TinyCheckpoint().geometry().tokens, TinyTokenizer())
      .text;
}

class FastGolden : public testing::TestWithParam<ContextForm> {
 protected:
  FastGolden()
      : golden_("d_fast"),
        memory_(StoreContext(golden_.Input("k_cache"), golden_.Input("v_cache"),
                             golden_.Expected("k0_position_ids")[0][0].item<int64_t>(),
                             GetParam())),
        context_(TinyActionModel().Prepare(memory_.buffers).value()) {}

  GoldenCase golden_;
  ContextMemory memory_;
  ActionContext context_;
};

TEST_P(FastGolden, EveryUseOfOneContextAgreesUnderTheReferencesDrift) {
  for (const int64_t reuse : {0, 1, 3}) {
    const std::string prefix = absl::StrCat("k", reuse, "_");
    const ContextUse use{&context_, 1, reuse};
    EXPECT_EQ(TinyActionModel().FirstPosition(use),
              golden_.Expected(prefix + "position_ids")[0][0].item<int64_t>());
    const auto output =
        TinyActionModel().Plan(InputsOf(golden_), {&use, 1}, model::HiddenRows::kAll);
    ASSERT_TRUE(output.ok()) << output.status();
    ExpectOutput(golden_, prefix, *output);
    EXPECT_EQ(WithoutMarkers(output->decision.ids),
              golden_.json().at("decoded_text").at(absl::StrCat("k", reuse)));
  }
}

TEST_P(FastGolden, LeavingOutUnreadRowsChangesNothing) {
  const ContextUse use{&context_};
  const auto output = TinyActionModel().Plan(InputsOf(golden_), {&use, 1});
  ASSERT_TRUE(output.ok()) << output.status();
  EXPECT_FALSE(output->hidden.defined());
  ExpectOutput(golden_, "k0_", *output);
}

TEST_P(FastGolden, DecisionRowsAloneGiveTheSameDecision) {
  const ContextUse use{&context_};
  const auto decision = TinyActionModel().Decide(InputsOf(golden_), {&use, 1});
  ASSERT_TRUE(decision.ok()) << decision.status();
  ExpectClose(decision->logits[0], golden_.Expected("k0_logits"), kLogitsTolerance, "logits");
  ExpectEqual(decision->ids[0], golden_.Expected("k0_pred_ids"), "pred_ids");
}

INSTANTIATE_TEST_SUITE_P(Forms, FastGolden,
                         testing::Values(ContextForm::kCompact, ContextForm::kFull),
                         [](const auto& info) {
                           return info.param == ContextForm::kCompact ? "Compact" : "Full";
                         });

TEST(ActionMaskGolden, OwnTokensSeeTheirBlockAndEarlierOnes) {
  const model::ActionGeometry& action = TinyCheckpoint().geometry().action;
  const std::vector<int64_t> blocks = {action.bev_tokens, action.target_points + 1,
                                       action.decision_tokens, action.route_points,
                                       action.waypoints};
  ExpectEqual(model::AllowedByBlocks(blocks), GoldenCase("d_fast").Expected("mask_allowed"),
              "mask_allowed");
}

TEST(LexiconGolden, LogitsAreTheFullOnesAtTheLexiconsEntries) {
  const GoldenCase golden("d_fast");
  const auto lexicon_model = LoadModel(model::DecisionLogits::kLexicon);
  ASSERT_TRUE(lexicon_model->uses_lexicon()) << lexicon_model->lexicon().why_full;
  const ContextMemory memory =
      StoreContext(golden.Input("k_cache"), golden.Input("v_cache"),
                   golden.Expected("k0_position_ids")[0][0].item<int64_t>(), ContextForm::kCompact);
  const ActionContext context = lexicon_model->Prepare(memory.buffers).value();
  const ContextUse use{&context};
  const auto output = lexicon_model->Plan(InputsOf(golden), {&use, 1});
  ASSERT_TRUE(output.ok()) << output.status();
  const at::Tensor ids = at::tensor(lexicon_model->lexicon().ids, at::kLong);
  const at::Tensor expected = golden.Expected("k0_logits").index_select(1, ids);
  ExpectClose(output->decision.logits[0], expected, kLogitsTolerance, "lexicon logits");
  ExpectEqual(output->decision.ids[0], ids.index_select(0, expected.argmax(-1)), "lexicon ids");
  ExpectClose(output->decision.probabilities[0], std::get<0>(at::softmax(expected, -1).max(-1)),
              kLogitsTolerance, "probabilities");
}

// The contexts are made from raw frames here, so nothing but role "input" is fed from end to end.
class BatchGolden : public testing::Test {
 protected:
  BatchGolden() : golden_("e_batch") {
    for (const char* name : {"b_slow_A", "b_slow_B"}) {
      const Context made = RunSlowPath(GoldenCase(name), model::InstructionMask::kCausal);
      memory_.push_back(
          StoreContext(made.keys, made.values, made.sequence.next_position, ContextForm::kCompact));
      contexts_.push_back(TinyActionModel().Prepare(memory_.back().buffers).value());
    }
  }

  GoldenCase golden_;
  std::vector<ContextMemory> memory_;
  std::vector<ActionContext> contexts_;
};

TEST_F(BatchGolden, ObservationsSharingAContextAgreeWithTheReference) {
  for (size_t i = 0; i < contexts_.size(); ++i) {
    const ContextUse use{&contexts_[i], 3};
    const auto output =
        TinyActionModel().Plan(InputsOf(golden_), {&use, 1}, model::HiddenRows::kAll);
    ASSERT_TRUE(output.ok()) << output.status();
    const std::string prefix = i == 0 ? "cacheA_" : "cacheB_";
    ExpectOutput(golden_, prefix, *output);
    const at::Tensor positions = golden_.Expected(prefix + "position_ids");
    const int64_t first = TinyActionModel().FirstPosition(use);
    ExpectEqual(at::arange(first, first + positions.size(2), at::kLong).expand_as(positions),
                positions, prefix + "position_ids");
  }
}

TEST_F(BatchGolden, ObservationsOverDifferentContextsShareABatch) {
  const model::ActionInputs inputs = InputsOf(golden_);
  const auto twice = [](const at::Tensor& t) { return at::cat({t, t}); };
  const std::vector<ContextUse> uses = {{&contexts_[0], 3}, {&contexts_[1], 3}};
  const auto output = TinyActionModel().Plan(
      {twice(inputs.bev_feature), twice(inputs.target_points), twice(inputs.speed)}, uses,
      model::HiddenRows::kAll);
  ASSERT_TRUE(output.ok()) << output.status();
  for (int64_t i = 0; i < 2; ++i) {
    const auto half = [&](const at::Tensor& t) { return t.narrow(0, 3 * i, 3); };
    ExpectOutput(golden_, i == 0 ? "cacheA_" : "cacheB_",
                 {{half(output->decision.logits), half(output->decision.ids),
                   half(output->decision.probabilities)},
                  half(output->route_raw),
                  half(output->route),
                  half(output->wp_offsets),
                  half(output->waypoints),
                  half(output->hidden)});
  }
}

TEST_F(BatchGolden, ASingleObservationAgreesWithTheReference) {
  const model::ActionInputs inputs = InputsOf(golden_);
  for (int64_t i = 0; i < 3; ++i) {
    const ContextUse use{&contexts_[0]};
    const auto output =
        TinyActionModel().Plan({inputs.bev_feature.narrow(0, i, 1),
                                inputs.target_points.narrow(0, i, 1), inputs.speed.narrow(0, i, 1)},
                               {&use, 1});
    ASSERT_TRUE(output.ok()) << output.status();
    ExpectClose(output->waypoints[0], golden_.Expected("cacheA_waypoints")[i], kPointTolerance,
                "waypoints");
    EXPECT_EQ(WithoutMarkers(output->decision.ids),
              golden_.json().at("decoded_text").at("A").at(static_cast<size_t>(i)));
  }
}

}  // namespace
}  // namespace automot::golden
