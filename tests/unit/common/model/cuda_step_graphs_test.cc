// On a GPU: replayed graphs give what the model gives operator by operator, whatever else is in the
// batch and whatever a slot held before.
#include "common/model/cuda_step_graphs.h"

#include <ATen/Context.h>

#include "gtest/gtest.h"
#include "tests/unit/common/model/action_fixture.h"

namespace automot::model {
namespace {

constexpr double kTolerance = 1e-3;  // float32; cuBLAS chooses kernels by shape

class CudaGraphs : public testing::Test {
 protected:
  void SetUp() override {
    if (!at::hasCUDA()) GTEST_SKIP() << "no CUDA device can be used here";
    model_ = LoadTinyActionModel({.device = at::kCUDA});
    auto captured = CudaStepGraphs::Capture(*model_, {.batches = {1, 4}, .prefixes = {64, 160}});
    ASSERT_TRUE(captured.ok()) << captured.status();
    graphs_ = std::move(captured).value();
    for (const int64_t tokens : {7, 137, 96}) contexts_.push_back(RandomContext(tokens, *model_));
  }
  void ExpectAgreement(const std::vector<size_t>& chosen) {
    const ActionInputs inputs = RandomInputs(static_cast<int64_t>(chosen.size()));
    std::vector<ContextUse> uses;
    for (const size_t i : chosen) uses.push_back({&contexts_[i].context});
    const auto replayed = graphs_->Plan(inputs, uses);
    ASSERT_TRUE(replayed.ok()) << replayed.status();
    const ActionOutput direct = model_->Plan(inputs, uses).value();
    EXPECT_LT((replayed->waypoints - direct.waypoints).abs().max().item<double>(), kTolerance);
    EXPECT_LT((replayed->route - direct.route).abs().max().item<double>(), kTolerance);
    EXPECT_TRUE(replayed->decision.ids.equal(direct.decision.ids));
  }

  std::unique_ptr<const ActionModel> model_;
  std::unique_ptr<CudaStepGraphs> graphs_;
  std::vector<OwnedContext> contexts_;
};

TEST_F(CudaGraphs, OneVehicleInEveryPrefixBucket) {
  for (const size_t i : {0, 1, 2, 0}) ExpectAgreement({i});
}

TEST_F(CudaGraphs, VehiclesOverDifferentContextsShareABatch) {
  ExpectAgreement({0, 1, 2});
  ExpectAgreement({2, 2, 0, 1});
}

TEST_F(CudaGraphs, ABatchThatNoBucketHoldsIsRefused) {
  const std::vector<ContextUse> uses(5, ContextUse{&contexts_[0].context});
  EXPECT_EQ(graphs_->Plan(RandomInputs(5), uses).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace automot::model
