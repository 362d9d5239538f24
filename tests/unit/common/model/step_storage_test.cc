#include "common/model/step_storage.h"

#include <ATen/ATen.h>

#include <functional>
#include <optional>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace automot::model {
namespace {

at::Tensor Make(int64_t values) { return at::zeros({values}, at::kFloat); }

class StepStorageTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(StepStorage::Install().ok()) << StepStorage::Install(); }
  uint64_t NewBlocksBy(const std::function<void()>& body) {
    const uint64_t before = storage_.stats().new_blocks;
    {
      const StepStorage::Scope scope(storage_);
      body();
    }
    return storage_.stats().new_blocks - before;
  }
  StepStorage storage_;
};

TEST_F(StepStorageTest, ABlockIsHandedOutAgain) {
  const void* first = nullptr;
  NewBlocksBy([&] { first = Make(1000).data_ptr(); });
  EXPECT_EQ(NewBlocksBy([&] { EXPECT_EQ(Make(1000).data_ptr(), first); }), 0U);
}

TEST_F(StepStorageTest, ALargerTensorIsCountedAsNew) {
  NewBlocksBy([] { Make(100); });
  EXPECT_EQ(NewBlocksBy([] { Make(50'000'000); }), 1U);
}

TEST_F(StepStorageTest, LiveTensorsNeverShareMemory) {
  const StepStorage::Scope scope(storage_);
  std::vector<at::Tensor> live;
  for (int64_t i = 1; i < 200; ++i) live.push_back(at::full({i * 13}, i));
  for (int64_t i = 1; i < 200; ++i) {
    EXPECT_TRUE(live[static_cast<size_t>(i - 1)].eq(i).all().item<bool>()) << i;
  }
}

TEST_F(StepStorageTest, BlocksAreAligned) {
  const StepStorage::Scope scope(storage_);
  for (const int64_t values : {1, 17, 300, 70'001}) {
    EXPECT_EQ(reinterpret_cast<uintptr_t>(Make(values).data_ptr()) % 64, 0U) << values;
  }
}

TEST_F(StepStorageTest, OutsideAScopeNothingIsTaken) {
  const uint64_t before = storage_.stats().tensors;
  Make(1000);
  EXPECT_EQ(storage_.stats().tensors, before);
}

TEST_F(StepStorageTest, AnotherThreadIsNotServed) {
  const StepStorage::Scope scope(storage_);
  const uint64_t before = storage_.stats().tensors;
  std::thread([] { Make(1000); }).join();
  EXPECT_EQ(storage_.stats().tensors, before);
}

TEST_F(StepStorageTest, ATensorFreedOnAnotherThreadComesBack) {
  std::optional<at::Tensor> kept;
  const void* memory = nullptr;
  NewBlocksBy([&] { kept = Make(333'333), memory = kept->data_ptr(); });
  std::thread([&] { kept.reset(); }).join();
  EXPECT_EQ(NewBlocksBy([&] { EXPECT_EQ(Make(333'333).data_ptr(), memory); }), 0U);
}

TEST_F(StepStorageTest, ATensorOutlivesItsStorage) {
  at::Tensor kept;
  {
    StepStorage shortlived;
    const StepStorage::Scope scope(shortlived);
    kept = at::full({1000}, 7);
  }
  StepStorage next;
  const StepStorage::Scope scope(next);
  Make(1000).fill_(1);
  EXPECT_TRUE(kept.eq(7).all().item<bool>());
}

TEST_F(StepStorageTest, TensorsOlderThanTheScopeAreFreedInsideIt) {
  at::Tensor old = Make(1000);
  const StepStorage::Scope scope(storage_);
  old.reset();
  EXPECT_EQ(Make(1000).numel(), 1000);
}

}  // namespace
}  // namespace automot::model
