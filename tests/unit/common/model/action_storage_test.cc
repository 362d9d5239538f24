// A warm planning step asks for no new tensor storage (design 6, region c).
#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>

#include <iostream>

#include "common/model/bev/bev_encoder.h"
#include "common/model/step_storage.h"
#include "gtest/gtest.h"
#include "tests/support/tick_guard.h"
#include "tests/unit/common/model/action_fixture.h"

namespace automot::model {
namespace {

// LibTorch's own account of what its default allocator gives to this thread: independent of
// StepStorage's counters.
class DefaultAllocatorAccount final : public c10::MemoryReportingInfoBase {
 public:
  void reportMemoryUsage(void*, int64_t bytes, size_t, size_t, c10::Device) override {
    if (bytes > 0) bytes_ += bytes;
  }
  bool memoryProfilingEnabled() const override { return true; }
  int64_t bytes() const { return bytes_; }

 private:
  int64_t bytes_ = 0;
};

class ActionStorage : public testing::Test {
 protected:
  // Cameras and LiDAR to trajectory.
  void Step(const OwnedContext& context) {
    const auto feature = encoder_->Encode(rgb_, counts_);
    ASSERT_TRUE(feature.ok()) << feature.status();
    const ActionInputs inputs{*feature, inputs_.target_points, inputs_.speed};
    const ContextUse use{&context.context};
    const auto output = TinyActionModel().Plan(inputs, {&use, 1});
    ASSERT_TRUE(output.ok()) << output.status();
  }
  void StepInScope(const OwnedContext& context) {
    const StepStorage::Scope scope(storage_);
    Step(context);
  }

  const std::unique_ptr<const BevEncoder> encoder_ =
      std::move(BevEncoder::Load(TinyCheckpoint(), {})).value();
  const BevGeometry& bev_ = TinyCheckpoint().geometry().bev;
  const at::Tensor rgb_ = at::randint(0, 256, {1, bev_.image_rows, bev_.image_cols, 3}, at::kByte);
  const at::Tensor counts_ = at::randint(0, 6, {1, 1, bev_.lidar_rows, bev_.lidar_cols}, at::kByte);
  const ActionInputs inputs_ = RandomInputs(1);
  const OwnedContext short_ = RandomContext(129), long_ = RandomContext(700);
  StepStorage storage_;
};

TEST_F(ActionStorage, AWarmStepTakesNoNewStorage) {
  for (int i = 0; i < 3; ++i) StepInScope(short_);
  const StepStorageStats warm = storage_.stats();
  const auto account = std::make_shared<DefaultAllocatorAccount>();
  constexpr int kSteps = 20;
  {
    const c10::DebugInfoGuard guard(c10::DebugInfoKind::PROFILER_STATE, account);
    for (int i = 0; i < kSteps; ++i) StepInScope(short_);
  }
  EXPECT_EQ(storage_.stats().new_bytes, warm.new_bytes);
  EXPECT_EQ(storage_.stats().outside_blocks, 0U);
  EXPECT_EQ(account->bytes(), 0);
  std::cout << "tensor storages per step: " << (storage_.stats().tensors - warm.tensors) / kSteps
            << ", all reused\n";
}

TEST_F(ActionStorage, BothCountersSeeStorageThatIsNew) {
  for (int i = 0; i < 3; ++i) StepInScope(short_);
  const uint64_t before = storage_.stats().new_bytes;
  StepInScope(long_);
  EXPECT_GT(storage_.stats().new_bytes, before);
  const auto account = std::make_shared<DefaultAllocatorAccount>();
  const c10::DebugInfoGuard guard(c10::DebugInfoKind::PROFILER_STATE, account);
  Step(short_);
  EXPECT_GT(account->bytes(), 100'000);
}

// What is left: tensor headers, dispatch and oneDNN's descriptors. Reported, not bounded.
TEST_F(ActionStorage, MetadataAllocationsAreCounted) {
  if (!test_support::TickGuard::supported()) GTEST_SKIP() << "heap calls cannot be counted here";
  for (int i = 0; i < 3; ++i) StepInScope(short_);
  const test_support::TickGuard guard;
  StepInScope(short_);
  const test_support::TickReport report = guard.report();
  RecordProperty("heap_calls_per_step", static_cast<int>(report.heap_calls));
  std::cout << "per step: " << report.ToString() << "\n";
  EXPECT_GT(report.heap_calls, 0U);
}

}  // namespace
}  // namespace automot::model
