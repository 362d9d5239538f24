#include "tools/train/optimizer.h"

#include <cmath>

#include "gtest/gtest.h"

namespace automot::train {
namespace {

constexpr char kTiny[] = AUTOMOT_SOURCE_DIR "/tests/golden/data/tiny";
constexpr char kName[] = "velocity_head.2.bias";

Parameters OneTrained() {
  auto checkpoint = model::Checkpoint::Open(kTiny);
  EXPECT_TRUE(checkpoint.ok()) << checkpoint.status();
  auto parameters = Parameters::Load(**checkpoint, at::kCPU);
  EXPECT_TRUE(parameters.ok()) << parameters.status();
  parameters->Train([](std::string_view name) { return name == kName; });
  return std::move(*parameters);
}

TEST(LearningRate, RisesInALineAndFallsInACosine) {
  const OptimizerOptions options{
      .peak_rate = 1.0, .final_rate = 0.2, .warm_up_steps = 4, .steps = 104};
  EXPECT_DOUBLE_EQ(LearningRate(options, 0), 0.25);
  EXPECT_DOUBLE_EQ(LearningRate(options, 3), 1.0);
  EXPECT_DOUBLE_EQ(LearningRate(options, 4), 1.0);
  EXPECT_NEAR(LearningRate(options, 54), 0.6, 1e-12);
  EXPECT_NEAR(LearningRate(options, 104), 0.2, 1e-12);
}

TEST(Optimizer, TakesTheFirstStepsAsAdamWDoes) {
  Parameters parameters = OneTrained();
  at::Tensor value = parameters.tensors().at(kName);
  const at::Tensor before = value.detach().clone();
  Optimizer optimizer(parameters, {.peak_rate = 0.1, .warm_up_steps = 0, .weight_decay = 0.5});
  value.mutable_grad() = at::tensor({0.3F, -0.4F, 0.0F});
  EXPECT_NEAR(optimizer.Step(0), 0.5, 1e-6);
  EXPECT_FALSE(value.grad().defined());
  // The first step is the sign of the gradient, whatever its size; decay comes before it.
  const at::Tensor expected = before * (1 - 0.1 * 0.5) - 0.1 * at::tensor({1.0F, -1.0F, 0.0F});
  EXPECT_LT((value - expected).abs().max().item<double>(), 1e-6);
}

TEST(Optimizer, ClipsTheNormOfAllGradients) {
  Parameters parameters = OneTrained();
  Optimizer optimizer(parameters, {.clip_norm = 1.0});
  parameters.tensors().at(kName).mutable_grad() = at::tensor({30.0F, -40.0F, 0.0F});
  EXPECT_NEAR(optimizer.Step(0), 50.0, 1e-4);
  // The first moment is (1 - beta1) times what is left of the gradient.
  const at::Tensor first = optimizer.State().at(std::string("first.") + kName);
  EXPECT_NEAR(first[0].item<double>(), 0.1 * 0.6, 1e-6);
}

TEST(Optimizer, AveragesMoreTheLongerItRuns) {
  Parameters parameters = OneTrained();
  const at::Tensor value = parameters.tensors().at(kName);
  const at::Tensor before = value.detach().clone();
  Optimizer optimizer(parameters, {.peak_rate = 1.0, .warm_up_steps = 0, .ema = 0.5});
  value.mutable_grad() = at::ones({3});
  optimizer.Step(0);  // of the old a tenth is kept
  const at::Tensor first = before * 0.1 + value.detach() * 0.9;
  EXPECT_LT((optimizer.average().at(kName) - first).abs().max().item<double>(), 1e-5);
  value.mutable_grad() = at::ones({3});
  optimizer.Step(1000);  // half
  const at::Tensor second = first * 0.5 + value.detach() * 0.5;
  EXPECT_LT((optimizer.average().at(kName) - second).abs().max().item<double>(), 1e-5);
}

TEST(Optimizer, ItsStateIsAllThatTheNextStepNeeds) {
  Parameters one = OneTrained(), two = OneTrained();
  Optimizer first(one, {}), second(two, {});
  const auto step = [](Parameters& parameters, Optimizer& optimizer, int64_t at) {
    at::Tensor value = parameters.tensors().at(kName);
    value.mutable_grad() = value.detach() * 0.1 + 0.01 * static_cast<double>(at);
    optimizer.Step(at);
  };
  for (int64_t at = 0; at < 5; ++at) step(one, first, at);
  TensorMap state;
  for (const auto& [name, tensor] : first.State()) state[name] = tensor.detach().clone();
  ASSERT_TRUE(second.Restore(state).ok());
  step(one, first, 5);
  step(two, second, 5);
  EXPECT_TRUE(one.tensors().at(kName).equal(two.tensors().at(kName)));
  EXPECT_TRUE(first.average().at(kName).equal(second.average().at(kName)));
  state.erase(std::string("second.") + kName);
  EXPECT_EQ(second.Restore(state).code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace automot::train
