// Where automot-infer enters its chains, and what a batch may look like.
#include "tests/golden/infer/infer_fixture.h"

namespace automot::golden {
namespace {

// Everything from pictures to waypoints for one observation, with every later entry point spoilt.
Tensors WholeChain() {
  Tensors inputs = InputsOf(GoldenCase("b_slow_A"));
  const Tensors fast = FastInputs();
  inputs["target_points"] = fast.at("target_points");
  inputs["speed"] = fast.at("speed");
  const GoldenCase bev("c_bev");
  inputs["rgb"] = bev.Input("rgb")[0];
  inputs["lidar_hist_counts"] = bev.Input("lidar_hist_counts")[0];
  return inputs;
}

class InferEntry : public InferTest {
 protected:
  InferEntry() : fast_(FastInputs()), golden_("d_fast") {}

  Tensors fast_;
  GoldenCase golden_;
};

TEST_F(InferEntry, WholeChainAgreesFromPicturesToWaypoints) {
  const Tensors outputs = RunOk(WholeChain());
  ExpectFastOutputs(outputs, golden_, "k0_");
  for (const char* name : {"resized_frames", "pixel_values", "image_embeds", "k_cache", "v_cache",
                           "position_start", "bev_feature"}) {
    EXPECT_EQ(outputs.count(name), 1U) << name;
  }
}

TEST_F(InferEntry, EarliestEntryPointWinsAndLaterOnesAreRecomputed) {
  Tensors inputs = WholeChain();
  const GoldenCase context("b_slow_A");
  inputs["pixel_values"] = at::zeros_like(context.Expected("pixel_values"));
  inputs["grid_thw"] = context.Expected("grid_thw");
  for (const char* name : {"k_cache", "v_cache", "bev_feature"}) {
    inputs[name] = at::zeros_like(fast_.at(name));
  }
  inputs["position_start"] = at::tensor({int64_t{7}});
  const Tensors outputs = RunOk(inputs);
  ExpectFastOutputs(outputs, golden_, "k0_");
  ExpectClose(outputs.at("k_cache"), context.Expected("k_cache"), kCacheTolerance, "k_cache");
  ExpectClose(outputs.at("pixel_values"), context.Expected("pixel_values"), kPixelTolerance,
              "pixel_values");
  EXPECT_EQ(outputs.at("position_start").item<int64_t>(), 125);
}

TEST_F(InferEntry, EnterAtTakesTheLaterEntryPoints) {
  Tensors inputs = WholeChain();
  for (const char* name : {"raw_frames", "rgb"}) inputs[name] = at::zeros_like(inputs.at(name));
  for (const char* name : {"k_cache", "v_cache", "position_start", "bev_feature"}) {
    inputs[name] = fast_.at(name);
  }
  const Tensors outputs = RunOk(inputs, {"--enter-at", "context,bev_feature"});
  ExpectFastOutputs(outputs, golden_, "k0_");
  for (const char* name : {"k_cache", "bev_feature", "image_embeds", "pixel_values"}) {
    EXPECT_EQ(outputs.count(name), 0U) << name << " is no result of this run";
  }
}

TEST_F(InferEntry, EnterAtPixelsSkipsTheFrames) {
  const GoldenCase context("b_slow_A");
  Tensors inputs = InputsOf(context);
  inputs["raw_frames"].zero_();
  inputs["pixel_values"] = context.Expected("pixel_values");
  inputs["grid_thw"] = context.Expected("grid_thw");
  const Tensors outputs = RunOk(inputs, {"--enter-at", "pixels"});
  ExpectClose(outputs.at("k_cache"), context.Expected("k_cache"), kCacheTolerance, "k_cache");
  EXPECT_EQ(outputs.count("resized_frames"), 0U);
}

TEST_F(InferEntry, FramesWithoutAPromptGiveImageFeaturesBesideAGivenContext) {
  fast_["raw_frames"] = GoldenCase("b_slow_A").Input("raw_frames");
  const Tensors outputs = RunOk(fast_);
  ExpectFastOutputs(outputs, golden_, "k0_");
  EXPECT_EQ(outputs.count("image_embeds"), 1U);
  EXPECT_EQ(outputs.count("k_cache"), 0U);
}

TEST_F(InferEntry, BatchAxisOfOneMayBeThereOrNot) {
  for (const char* name : {"bev_feature", "target_points", "k_cache", "v_cache"}) {
    fast_[name] = fast_.at(name).unsqueeze(0);
  }
  fast_["speed"] = fast_.at("speed").squeeze(0);
  fast_["position_start"] = fast_.at("position_start").squeeze(0);
  const Tensors outputs = RunOk(fast_);
  ExpectFastOutputs(outputs, golden_, "k0_");
  EXPECT_EQ(outputs.at("hidden").sizes(), at::IntArrayRef({1, 101, 160}));
}

// Two contexts of equal length, so that they stack: case A's, and a changed copy of it.
TEST_F(InferEntry, EachObservationMayHaveItsOwnContext) {
  Tensors other = fast_;
  other["k_cache"] = fast_.at("k_cache").flip(1);
  other["position_start"] = fast_.at("position_start") + 11;
  Tensors both = fast_;
  for (const char* name : {"k_cache", "v_cache", "bev_feature", "target_points"}) {
    both[name] = at::stack({fast_.at(name), other.at(name)});
  }
  for (const char* name : {"position_start", "speed"}) {
    both[name] = at::cat({fast_.at(name), other.at(name)});
  }
  const Tensors outputs = RunOk(both);
  const Tensors alone = RunOk(other);
  Tensors first, second;
  for (const char* name :
       {"hidden", "logits", "pred_ids", "route_raw", "route", "wp_offsets", "waypoints"}) {
    first[name] = outputs.at(name)[0];
    ExpectClose(outputs.at(name).narrow(0, 1, 1), alone.at(name), 1e-4, name);
  }
  ExpectFastOutputs(first, golden_, "k0_");
}

}  // namespace
}  // namespace automot::golden
