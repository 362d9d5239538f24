// The quantised twin of a snapshot follows it layer by layer, and fails by type.
#include "services/reasoning/quantised_feed.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <future>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "common/context/quantisation.h"

namespace automot::reasoning {
namespace {

using context::ContextLayout;
using context::TensorKind;

constexpr ContextLayout kLayout{
    .layers = 3, .tokens = 6, .kv_heads = 2, .k_head_dim = 8, .v_head_dim = 4};

std::shared_ptr<context::ContextSnapshot> Native(uint64_t version) {
  auto snapshot = std::make_shared<context::ContextSnapshot>();
  snapshot->header.id.version = version;
  snapshot->header.capture_time_us = static_cast<SessionTimeUs>(version) * 1000;
  snapshot->header.layout = kLayout;
  snapshot->kv = context::KvBuffer::Allocate(kLayout).value();
  for (int layer = 0; layer < kLayout.layers; ++layer) {
    for (const TensorKind tensor : {TensorKind::kKey, TensorKind::kValue}) {
      const std::span<std::byte> bytes = snapshot->kv.Tensor(layer, tensor);
      for (std::size_t i = 0; i < bytes.size(); i += 4) {
        const float value = static_cast<float>(i % 37) - static_cast<float>(layer);
        std::memcpy(bytes.data() + i, &value, sizeof(value));
      }
    }
  }
  return snapshot;
}

class QuantisedFeedTest : public ::testing::Test {
 protected:
  QuantisedFeedTest() { Start({.prefault = false}); }

  void Start(const context::KvBufferPool::Options& options) {
    pool_ = std::make_unique<context::KvBufferPool>(options);
    feed_ = std::make_shared<QuantisedFeed>(
        ContextLayout::ElementType::kInt8, pool_.get(), thread_.get(),
        QuantisedFeed::Outputs{
            .on_layers = [this](const context::SnapshotPtr& building,
                                int ready) { layers_.emplace_back(building, ready); },
            .on_snapshot =
                [this](const context::SnapshotPtr& snapshot) { snapshots_.push_back(snapshot); },
            .on_failed = [this](SessionTimeUs time,
                                const absl::Status& why) { failures_.emplace_back(time, why); },
            .on_idle = [this] { ++idle_; }});
  }
  // Everything posted so far has run.
  void Settle() {
    std::promise<void> done;
    thread_->Post([&done] { done.set_value(); });
    done.get_future().wait();
  }

  std::unique_ptr<context::KvBufferPool> pool_;
  std::unique_ptr<LinkThread> thread_ = std::make_unique<LinkThread>("quantiser");
  std::shared_ptr<QuantisedFeed> feed_;
  std::vector<std::pair<context::SnapshotPtr, int>> layers_;
  std::vector<context::SnapshotPtr> snapshots_;
  std::vector<std::pair<SessionTimeUs, absl::Status>> failures_;
  int idle_ = 0;
};

TEST_F(QuantisedFeedTest, LayersFollowTheirNativeOnesAndTheSnapshotIsTheirWhole) {
  const auto native = Native(1);
  feed_->OnLayers(native, 1);
  feed_->OnLayers(native, 2);
  Settle();
  ASSERT_EQ(layers_.size(), 2U);
  EXPECT_EQ(layers_[0].second, 1);
  EXPECT_EQ(layers_[1].second, 2);
  native->decision.emplace();
  native->timings.total_ms = 7.0;
  feed_->OnLayers(native, 3);
  feed_->OnSnapshot(native);
  EXPECT_FALSE(feed_->idle() && idle_ == 0);
  Settle();
  ASSERT_EQ(snapshots_.size(), 1U);
  const context::SnapshotPtr& made = snapshots_[0];
  EXPECT_EQ(made, layers_[0].first) << "one snapshot from its first layer on";
  EXPECT_EQ(made->header.id.version, 1U);
  EXPECT_EQ(made->header.layout.element_type, ContextLayout::ElementType::kInt8);
  EXPECT_TRUE(made->decision.has_value());
  EXPECT_EQ(made->timings.total_ms, 7.0);
  context::KvBuffer expected = context::KvBuffer::Allocate(made->header.layout).value();
  for (int layer = 0; layer < kLayout.layers; ++layer) {
    ASSERT_TRUE(context::QuantiseLayer(native->kv, layer, expected).ok());
    for (const TensorKind tensor : {TensorKind::kKey, TensorKind::kValue}) {
      EXPECT_TRUE(
          std::ranges::equal(made->kv.Tensor(layer, tensor), expected.Tensor(layer, tensor)));
    }
  }
  EXPECT_TRUE(feed_->idle());
  EXPECT_EQ(idle_, 1);
}

TEST_F(QuantisedFeedTest, AValueThatIsNotFiniteFailsTheRefreshAndNotTheNext) {
  const auto native = Native(1);
  const float bad = std::numeric_limits<float>::quiet_NaN();
  std::memcpy(native->kv.Tensor(1, TensorKind::kKey).data(), &bad, sizeof(bad));
  for (int ready = 1; ready <= 3; ++ready) feed_->OnLayers(native, ready);
  feed_->OnSnapshot(native);
  feed_->OnSnapshot(Native(2));
  Settle();
  ASSERT_EQ(failures_.size(), 1U);
  EXPECT_EQ(failures_[0].first, 1000);
  EXPECT_EQ(failures_[0].second.code(), absl::StatusCode::kOutOfRange);
  ASSERT_EQ(snapshots_.size(), 1U);
  EXPECT_EQ(snapshots_[0]->header.id.version, 2U);
  EXPECT_EQ(layers_.size(), 1U) << "no layer after the bad one";
}

TEST_F(QuantisedFeedTest, WithoutABufferTheRefreshFailsByType) {
  Start({.byte_budget = 1, .prefault = false});
  feed_->OnSnapshot(Native(1));
  Settle();
  ASSERT_EQ(failures_.size(), 1U);
  EXPECT_EQ(failures_[0].second.code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(QuantisedFeedTest, AFailedRefreshComesAfterItsLayersAndFreesTheBuffer) {
  feed_->OnLayers(Native(1), 2);
  feed_->OnFailed(1000, absl::AbortedError("the episode ended"));
  Settle();
  ASSERT_EQ(layers_.size(), 1U);
  ASSERT_EQ(failures_.size(), 1U);
  EXPECT_TRUE(absl::IsAborted(failures_[0].second));
  layers_.clear();
  EXPECT_EQ(pool_->stats().lent_buffers, 0U);
}

}  // namespace
}  // namespace automot::reasoning
