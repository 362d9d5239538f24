// A vehicle's answer does not depend on which other vehicles are in its batch (semantics 9).
#include "gtest/gtest.h"
#include "tests/unit/common/model/action_fixture.h"

namespace automot::model {
namespace {

// Of the golden values (tests/golden/data/README.md); an answer's points are of the order of 10 m.
constexpr double kTolerance = 1e-4;

void ExpectSame(const ActionOutput& batch, int64_t index, const ActionOutput& alone) {
  const auto near = [index](const at::Tensor& many, const at::Tensor& one) {
    return (many[index] - one[0]).abs().max().item<double>();
  };
  EXPECT_LT(near(batch.waypoints, alone.waypoints), kTolerance) << "waypoints of " << index;
  EXPECT_LT(near(batch.route, alone.route), kTolerance) << "route of " << index;
  EXPECT_LT(near(batch.decision.logits, alone.decision.logits), kTolerance)
      << "logits of " << index;
  EXPECT_TRUE(batch.decision.ids[index].equal(alone.decision.ids[0])) << "decision of " << index;
}

class ActionBatch : public testing::Test {
 protected:
  ActionOutput Plan(const ActionInputs& inputs, const std::vector<int>& contexts) {
    std::vector<ContextUse> uses;
    for (const int context : contexts) uses.push_back({&contexts_[context].context});
    auto output = TinyActionModel().Plan(inputs, uses);
    EXPECT_TRUE(output.ok()) << output.status();
    return std::move(output).value();
  }
  // Plans the observations together, then each alone.
  void ExpectIndependent(const std::vector<int>& contexts) {
    const ActionInputs inputs = RandomInputs(static_cast<int64_t>(contexts.size()));
    const ActionOutput together = Plan(inputs, contexts);
    for (size_t i = 0; i < contexts.size(); ++i) {
      const auto index = static_cast<int64_t>(i);
      ExpectSame(together, index, Plan(Observation(inputs, index), {contexts[i]}));
    }
  }

  const std::vector<OwnedContext> contexts_ = [] {
    std::vector<OwnedContext> made;
    for (const int64_t tokens : {7, 137, 300}) made.push_back(RandomContext(tokens));
    return made;
  }();
};

TEST_F(ActionBatch, PrefixesOfDifferentLengthShareABatch) { ExpectIndependent({2, 0, 1}); }

TEST_F(ActionBatch, OneContextMayServeSeveralVehiclesOfABatch) { ExpectIndependent({1, 0, 1, 1}); }

TEST_F(ActionBatch, EightVehiclesGetTheirOwnAnswers) {
  ExpectIndependent({0, 1, 2, 2, 1, 0, 0, 1});
}

TEST_F(ActionBatch, AnotherContextGivesAnotherAnswer) {
  const ActionInputs inputs = RandomInputs(1);
  const at::Tensor difference = Plan(inputs, {0}).waypoints - Plan(inputs, {2}).waypoints;
  EXPECT_GT(difference.abs().max().item<double>(), 10 * kTolerance);
}

}  // namespace
}  // namespace automot::model
