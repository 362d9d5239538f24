// Stacked, padded contexts give what they give apart.
#include "common/model/context_stack.h"

#include "common/model/cuda_step_graphs.h"
#include "gtest/gtest.h"
#include "tests/unit/common/model/action_fixture.h"

namespace automot::model {
namespace {

// Of the golden values (tests/golden/data/README.md).
constexpr double kTolerance = 1e-4;

double LargestDifference(const at::Tensor& a, const at::Tensor& b) {
  return (a.cpu() - b.cpu()).abs().max().item<double>();
}

void ExpectSame(const ActionOutput& actual, const ActionOutput& expected) {
  EXPECT_LT(LargestDifference(actual.waypoints, expected.waypoints), kTolerance);
  EXPECT_LT(LargestDifference(actual.route, expected.route), kTolerance);
  EXPECT_LT(LargestDifference(actual.decision.logits, expected.decision.logits), kTolerance);
  EXPECT_TRUE(actual.decision.ids.cpu().equal(expected.decision.ids.cpu()));
}

std::vector<ContextUse> UsesOf(const std::vector<OwnedContext>& contexts) {
  std::vector<ContextUse> uses;
  for (const OwnedContext& context : contexts) uses.push_back({&context.context});
  return uses;
}

std::vector<OwnedContext> ThreeContexts() {
  std::vector<OwnedContext> contexts;
  for (const int64_t tokens : {7, 137, 96}) contexts.push_back(RandomContext(tokens));
  return contexts;
}

class ContextStackTest : public testing::Test {
 protected:
  ContextStack MakeStack(int64_t tokens) {
    return {TinyCheckpoint().geometry(), TinyActionModel().options().model, 3, tokens};
  }
  absl::Status Put(ContextStack& stack, int64_t slot, const ContextUse& use) {
    return stack.Put(slot, *use.context, TinyActionModel().RotaryOf(use));
  }
};

TEST_F(ContextStackTest, AStackOfPaddedContextsGivesWhatTheyGiveApart) {
  const std::vector<OwnedContext> contexts = ThreeContexts();
  std::vector<ContextUse> uses = UsesOf(contexts);
  uses[1].reuse = 2;
  ContextStack stack = MakeStack(160);
  for (int64_t i = 0; i < 3; ++i) {
    ASSERT_TRUE(Put(stack, i, uses[static_cast<size_t>(i)]).ok());
  }
  const ActionInputs inputs = RandomInputs(3);
  const ContextUse stacked{&stack.context()};
  const auto together = TinyActionModel().Plan(inputs, {&stacked, 1});
  ASSERT_TRUE(together.ok()) << together.status();
  ExpectSame(*together, TinyActionModel().Plan(inputs, uses).value());
}

TEST_F(ContextStackTest, ASlotForgetsItsLongerPredecessor) {
  const std::vector<OwnedContext> contexts = ThreeContexts();
  const std::vector<ContextUse> uses = UsesOf(contexts);
  ContextStack stack = MakeStack(160);
  for (int64_t i = 0; i < 3; ++i) ASSERT_TRUE(Put(stack, i, uses[1]).ok());
  for (int64_t i = 0; i < 3; ++i) {
    ASSERT_TRUE(Put(stack, i, uses[static_cast<size_t>(i)]).ok());
  }
  const ActionInputs inputs = RandomInputs(3);
  const ContextUse stacked{&stack.context()};
  ExpectSame(TinyActionModel().Plan(inputs, {&stacked, 1}).value(),
             TinyActionModel().Plan(inputs, uses).value());
}

TEST_F(ContextStackTest, WhatDoesNotFitIsRefused) {
  const std::vector<OwnedContext> contexts = ThreeContexts();
  const std::vector<ContextUse> uses = UsesOf(contexts);
  ContextStack stack = MakeStack(100);
  EXPECT_EQ(Put(stack, 0, uses[1]).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Put(stack, 3, uses[0]).code(), absl::StatusCode::kInvalidArgument);
}

TEST(CudaStepGraphs, AModelOnTheProcessorHasNone) {
  EXPECT_EQ(CudaStepGraphs::Capture(TinyActionModel(), {}).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace automot::model
