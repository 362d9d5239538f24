// Cases a to e and g through automot-infer: only tensors of role "input" are fed.
#include "absl/strings/str_cat.h"
#include "tests/golden/infer/infer_fixture.h"

namespace automot::golden {
namespace {

class InferGolden : public InferTest {};

void ExpectVision(const Tensors& outputs, const GoldenCase& golden) {
  for (const std::string name : {"image_embeds", "deepstack_0", "deepstack_1", "deepstack_2"}) {
    ExpectClose(outputs.at(name), golden.Expected(name), kVisionTolerance, name);
  }
}

TEST_F(InferGolden, VisionTowerAgreesFromPixels) {
  const GoldenCase golden("a_vision");
  const Tensors outputs = RunOk(InputsOf(golden));
  ASSERT_EQ(outputs.size(), 4U) << "image features and nothing else";
  ExpectVision(outputs, golden);
}

void ExpectContext(const Tensors& outputs, const GoldenCase& golden) {
  for (const std::string name :
       {"resized_frames", "grid_thw", "input_ids", "position_ids", "mask_allowed"}) {
    ExpectEqual(outputs.at(name), golden.Expected(name), name);
  }
  const std::map<std::string, double> tolerances = {
      {"pixel_values", kPixelTolerance}, {"image_embeds", kVisionTolerance},
      {"rope_cos", kRotaryTolerance},    {"rope_sin", kRotaryTolerance},
      {"k_cache", kCacheTolerance},      {"v_cache", kCacheTolerance}};
  for (const auto& [name, tolerance] : tolerances) {
    ExpectClose(outputs.at(name), golden.Expected(name), tolerance, name);
  }
  EXPECT_EQ(outputs.at("position_start").item<int64_t>(),
            golden.json().at("next_position").get<int64_t>());
}

TEST_F(InferGolden, ContextsAgreeFromRawFrames) {
  for (const std::string name : {"b_slow_A", "b_slow_B"}) {
    SCOPED_TRACE(name);
    const GoldenCase golden(name);
    ExpectContext(RunOk(InputsOf(golden)), golden);
  }
}

TEST_F(InferGolden, ContextAgreesUnderTheTrainingMask) {
  const GoldenCase golden("b_slow_A_bidirectional");
  ExpectContext(RunOk(InputsOf(golden), {"--instruction-mask", "bidirectional"}), golden);
}

TEST_F(InferGolden, BevFeatureAgreesForABatch) {
  const GoldenCase golden("c_bev");
  const Tensors outputs = RunOk(InputsOf(golden));
  ASSERT_EQ(outputs.size(), 1U);
  ExpectClose(outputs.at("bev_feature"), golden.Expected("bev_feature"), 1e-4, "bev_feature");
}

TEST_F(InferGolden, EveryUseOfAContextAgreesUnderTheReferencesDrift) {
  const GoldenCase golden("d_fast");
  for (const int reuse : {0, 1, 3}) {
    const std::string prefix = absl::StrCat("k", reuse, "_");
    const Tensors outputs = RunOk(
        FastInputs(), {"--position-policy", "reference_drift", "--reuse", absl::StrCat(reuse)});
    ExpectFastOutputs(outputs, golden, prefix);
    ExpectEqual(outputs.at("action_position_ids")[0], golden.Expected(prefix + "position_ids"),
                prefix + "position_ids");
    ExpectEqual(outputs.at("action_mask_allowed"), golden.Expected("mask_allowed"), "mask_allowed");
  }
}

TEST_F(InferGolden, AnchoredPositionsIgnoreEarlierUses) {
  ExpectFastOutputs(RunOk(FastInputs(), {"--reuse", "3"}), GoldenCase("d_fast"), "k0_");
}

TEST_F(InferGolden, BatchAgreesOnContextsMadeFromRawFrames) {
  const GoldenCase golden("e_batch");
  for (const std::string context : {"A", "B"}) {
    Tensors inputs = InputsOf(golden);
    inputs.merge(InputsOf(GoldenCase("b_slow_" + context)));
    ExpectFastOutputs(RunOk(inputs), golden, absl::StrCat("cache", context, "_"));
  }
}

// Mean and maximum that two correct bfloat16 implementations may differ by (README.md).
struct Spread {
  double mean, max;
};

void ExpectWithin(const at::Tensor& actual, const at::Tensor& expected, Spread limit,
                  const std::string& what) {
  ASSERT_EQ(actual.squeeze().sizes(), expected.squeeze().sizes()) << what;
  const at::Tensor difference =
      (actual.squeeze().to(at::kDouble) - expected.squeeze().to(at::kDouble)).abs();
  EXPECT_LE(difference.mean().item<double>(), limit.mean) << what;
  EXPECT_LE(difference.max().item<double>(), limit.max) << what;
}

// Of the action expert's outputs, whichever of them the case has.
const std::map<std::string, Spread> kFastSpreads = {
    {"hidden", {4e-2, 4e-1}}, {"logits", {6e-2, 5e-1}},     {"route_raw", {8e-2, 3e-1}},
    {"route", {8e-2, 3e-1}},  {"wp_offsets", {8e-2, 3e-1}}, {"waypoints", {1.5e-1, 4e-1}}};

void ExpectFastWithin(const Tensors& outputs, const GoldenCase& golden, const std::string& prefix) {
  for (const auto& [name, limit] : kFastSpreads) {
    ExpectWithin(outputs.at(name), golden.Expected(prefix + name), limit, prefix + name);
  }
  // Logits may tie in bfloat16: of 24 decisions of two correct implementations 23 were equal.
  const at::Tensor ids = golden.Expected(prefix + "pred_ids");
  EXPECT_GE(outputs.at("pred_ids").squeeze(0).eq(ids).sum().item<int64_t>(), ids.numel() - 1)
      << prefix << "pred_ids: " << outputs.at("pred_ids") << ids;
}

class InferBfloat16 : public InferTest {
 protected:
  // From pictures to the plan.
  static Tensors ChainInputs() {
    Tensors inputs = InputsOf(GoldenCase("b_slow_A"));
    const Tensors fast = FastInputs();
    for (const char* name : {"target_points", "speed"}) inputs[name] = fast.at(name);
    for (const char* name : {"rgb", "lidar_hist_counts"}) {
      inputs[name] = GoldenCase("c_bev").Input(name)[0];
    }
    return inputs;
  }
  const GoldenCase golden_{"g_bf16"};
};

TEST_F(InferBfloat16, TheChainStaysWithinTheSpreadOfTwoCorrectImplementations) {
  const Tensors outputs = RunOk(ChainInputs(), {"--dtype", "bfloat16"});
  const std::map<std::string, Spread> limits = {{"image_embeds", {1e-2, 6e-2}},
                                                {"k_cache", {5e-2, 4e-1}},
                                                {"v_cache", {4e-2, 4e-1}},
                                                {"bev_feature", {9e-2, 1.0}}};
  for (const auto& [name, limit] : limits) {
    EXPECT_EQ(outputs.at(name).scalar_type(), at::kFloat) << name;
    ExpectWithin(outputs.at(name), golden_.Expected(name), limit, name);
  }
  ExpectFastWithin(outputs, golden_, "k0_");
}

TEST_F(InferBfloat16, ALaterUseOfTheContextStaysWithinTheSpread) {
  ExpectFastWithin(RunOk(ChainInputs(), {"--dtype", "bfloat16", "--position-policy",
                                         "reference_drift", "--reuse", "3"}),
                   golden_, "k3_");
}

TEST_F(InferBfloat16, TheActionExpertAloneStaysWithinItsOwnSmallerSpread) {
  const Tensors outputs = RunOk(FastInputs(), {"--dtype", "bfloat16"});
  ExpectWithin(outputs.at("hidden"), golden_.Expected("aeonly_hidden"), {1.5e-2, 1.5e-1},
               "aeonly_hidden");
  for (const std::string name : {"logits", "route", "waypoints"}) {
    ExpectWithin(outputs.at(name), golden_.Expected("aeonly_" + name), kFastSpreads.at(name),
                 "aeonly_" + name);
  }
}

}  // namespace
}  // namespace automot::golden
