// The action expert as the planning service runs it: batches of vehicles with unlike contexts.
#include "services/planning/torch_action_expert.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "common/checkpoint/checkpoint.h"
#include "common/model/context_export.h"
#include "common/tokenizer/prompt.h"

namespace automot::planning {
namespace {

constexpr char kCheckpoint[] = AUTOMOT_SOURCE_DIR "/tests/golden/data/tiny";
constexpr double kTolerance = 1e-4;  // metres: products of a batch are rounded in another order
constexpr int kVehicles = 4;

class TorchActionExpertTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto checkpoint = model::Checkpoint::Open(kCheckpoint);
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
    checkpoint_ = *std::move(checkpoint);
    auto expert = LoadTorchActionExpert({.checkpoint = kCheckpoint});
    ASSERT_TRUE(expert.ok()) << expert.status();
    expert_ = *std::move(expert);
  }

  // Of `tokens` tokens with random numbers.
  std::unique_ptr<const PreparedContext> ContextOf(int tokens) {
    const model::ContextDims dims =
        model::DimsOf(checkpoint_->geometry(), model::ContextForm::kCompact);
    auto snapshot = std::make_shared<context::ContextSnapshot>();
    context::SnapshotHeader& header = snapshot->header;
    header.id = {.session = 1, .episode = 1, .epoch = 1, .version = 1};
    header.frame_capture_times_us = {0};
    header.model_revision = std::string(checkpoint_->revision());
    header.prompt_template = std::string(model::kPromptTemplate);
    header.instruction_mask = "causal";
    header.history_spacing_s = checkpoint_->geometry().driving.history_spacing_s;
    header.position_start = tokens;
    header.layout = {.layers = static_cast<int>(dims.layers),
                     .tokens = tokens,
                     .kv_heads = static_cast<int>(dims.kv_heads),
                     .k_head_dim = static_cast<int>(dims.key_dim),
                     .v_head_dim = static_cast<int>(dims.value_dim)};
    snapshot->kv = *context::KvBuffer::Allocate(header.layout);
    std::normal_distribution<float> normal;
    for (int layer = 0; layer < header.layout.layers; ++layer) {
      for (const auto tensor : {context::TensorKind::kKey, context::TensorKind::kValue}) {
        const auto bytes = snapshot->kv.Tensor(layer, tensor);
        for (std::size_t at = 0; at < bytes.size(); at += sizeof(float)) {
          const float value = normal(random_);
          std::memcpy(bytes.data() + at, &value, sizeof(value));
        }
      }
    }
    auto prepared = expert_->Prepare(std::move(snapshot));
    EXPECT_TRUE(prepared.ok()) << prepared.status();
    return *std::move(prepared);
  }

  // Camera and LiDAR, camera alone, a feature that the vehicle computed, nothing.
  void FillVehicles() {
    const auto byte = [this] { return static_cast<uint8_t>(random_() % 256); };
    for (RgbImage& picture : pictures_) {
      picture = {.width = expert_->info().camera_width, .height = expert_->info().camera_height};
      picture.pixels.resize(static_cast<std::size_t>(picture.width) *
                            static_cast<std::size_t>(picture.height) * 3);
      for (uint8_t& pixel : picture.pixels) pixel = byte();
    }
    histogram_.counts.resize(std::size_t{kLidarBins} * kLidarBins);
    for (uint8_t& count : histogram_.counts) count = byte() % 6;
    const model::BevGeometry& bev = checkpoint_->geometry().bev;
    feature_.values.resize(
        static_cast<std::size_t>(bev.feature_channels * bev.lidar_grid_rows * bev.lidar_grid_cols));
    for (float& value : feature_.values) value = static_cast<float>(byte()) / 256.0F;
    items_.resize(kVehicles);
    items_[0].features = {.camera = &pictures_[0], .lidar = &histogram_};
    items_[1].features = {.camera = &pictures_[1]};
    items_[2].features = {.bev_feature = &feature_};
    for (int i = 0; i < kVehicles; ++i) {
      contexts_.push_back(ContextOf(60 + 17 * i));
      PlanItem& item = items_[static_cast<std::size_t>(i)];
      item.context = contexts_.back().get();
      item.features.target_points[0] = {10.0 + i, -1.0 * i};
      item.features.target_points[1] = {20.0 + i, 2.0 * i};
      item.features.speed_mps = 1.0 + i;
      item.features.capture_time_us = 1'000'000 * i;
    }
  }

  std::mt19937_64 random_{7};
  std::shared_ptr<const model::Checkpoint> checkpoint_;
  std::unique_ptr<ActionExpert> expert_;
  RgbImage pictures_[2];
  LidarHistogram histogram_;
  BevFeature feature_;
  std::vector<std::unique_ptr<const PreparedContext>> contexts_;
  std::vector<PlanItem> items_;
};

void ExpectSame(const PlanOutput& batched, const PlanOutput& alone) {
  for (int i = 0; i < kRoutePoints; ++i) {
    EXPECT_NEAR(batched.trajectory.route[i].x, alone.trajectory.route[i].x, kTolerance);
    EXPECT_NEAR(batched.trajectory.route[i].y, alone.trajectory.route[i].y, kTolerance);
  }
  for (int i = 0; i < kWaypoints; ++i) {
    EXPECT_NEAR(batched.trajectory.waypoints[i].x, alone.trajectory.waypoints[i].x, kTolerance);
    EXPECT_NEAR(batched.trajectory.waypoints[i].y, alone.trajectory.waypoints[i].y, kTolerance);
  }
  ASSERT_EQ(batched.decision.slot_count, alone.decision.slot_count);
  for (std::size_t i = 0; i < alone.decision.slot_count; ++i) {
    EXPECT_EQ(batched.decision.slots.at(i).time_us, alone.decision.slots.at(i).time_us);
    EXPECT_EQ(batched.decision.slots.at(i).text.view(), alone.decision.slots.at(i).text.view());
    EXPECT_NEAR(batched.decision.slots.at(i).probability, alone.decision.slots.at(i).probability,
                kTolerance);
  }
}

TEST_F(TorchActionExpertTest, ABatchGivesEachVehicleWhatItWouldGetAlone) {
  ASSERT_TRUE(expert_->WarmUp(kVehicles).ok());
  FillVehicles();
  std::vector<PlanOutput> alone(kVehicles);
  for (std::size_t i = 0; i < kVehicles; ++i) {
    const absl::Status status = expert_->Plan(items_[i].features, *items_[i].context, &alone[i]);
    ASSERT_TRUE(status.ok()) << status;
  }
  EXPECT_NE(alone[0].trajectory.route[5].x, alone[1].trajectory.route[5].x);
  expert_->PlanBatch(absl::MakeSpan(items_));
  for (std::size_t i = 0; i < kVehicles; ++i) {
    SCOPED_TRACE(i);
    ASSERT_TRUE(items_[i].status.ok()) << items_[i].status;
    ExpectSame(items_[i].output, alone[i]);
  }
}

// What --reproducible promises: nothing that ran before or between changes a bit.
TEST_F(TorchActionExpertTest, AVehicleAloneGetsTheSameBitsWhateverElseIsServed) {
  ASSERT_TRUE(expert_->WarmUp(kVehicles).ok());
  FillVehicles();
  std::vector<PlanOutput> first(kVehicles);
  for (std::size_t i = 0; i < kVehicles; ++i) {
    ASSERT_TRUE(expert_->Plan(items_[i].features, *items_[i].context, &first[i]).ok());
  }
  for (std::size_t i = kVehicles; i-- > 0;) {
    expert_->PlanBatch(absl::MakeSpan(items_));
    PlanOutput again;
    ASSERT_TRUE(expert_->Plan(items_[i].features, *items_[i].context, &again).ok());
    EXPECT_EQ(std::memcmp(&again.trajectory, &first[i].trajectory, sizeof(Trajectory)), 0) << i;
  }
}

TEST_F(TorchActionExpertTest, OfAHiddenContextAPlanSeesNothing) {
  FillVehicles();
  const auto plan = [this](const PreparedContext& context) {
    PlanOutput output;
    EXPECT_TRUE(expert_->Plan(items_[0].features, context, &output).ok());
    return output.trajectory.waypoints[5].x;
  };
  const auto one = ContextOf(60), other = ContextOf(60);
  EXPECT_GT(std::abs(plan(*one) - plan(*other)), 1e-3);
  auto expert = LoadTorchActionExpert({.checkpoint = kCheckpoint, .hide_contexts = true});
  ASSERT_TRUE(expert.ok()) << expert.status();
  expert_ = *std::move(expert);
  ASSERT_TRUE(expert_->WarmUp(1).ok());
  EXPECT_EQ(plan(*ContextOf(60)), plan(*ContextOf(60)));
}

TEST_F(TorchActionExpertTest, WarmingUpMeasuresEverySizeOfBatch) {
  EXPECT_EQ(expert_->WarmCost(1), absl::ZeroDuration());
  ASSERT_TRUE(expert_->WarmUp(3).ok());
  for (int batch = 1; batch <= 3; ++batch) {
    EXPECT_GT(expert_->WarmCost(batch), absl::ZeroDuration()) << batch;
  }
  EXPECT_EQ(expert_->WarmCost(4), absl::ZeroDuration());
}

}  // namespace
}  // namespace automot::planning
