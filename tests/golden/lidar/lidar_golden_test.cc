// LiDAR chain against the reference (tests/golden/data/README.md, case f_lidar).
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "common/checkpoint/safetensors.h"
#include "common/lidar/histogram.h"
#include "common/lidar/point_transform.h"
#include "common/lidar/sweep.h"

namespace automot::lidar {
namespace {

const char kCase[] = AUTOMOT_SOURCE_DIR "/tests/golden/data/cases/f_lidar";

class GoldenLidar : public ::testing::Test {
 protected:
  void SetUp() override {
    auto file = model::SafetensorsFile::Open(std::string(kCase) + ".safetensors");
    ASSERT_TRUE(file.ok()) << file.status();
    file_ = *std::move(file);
    auto builder = HistogramBuilder::Create();
    ASSERT_TRUE(builder.ok()) << builder.status();
    builder_.emplace(*std::move(builder));
  }
  template <typename T>
  std::vector<T> Values(const std::string& name) const {
    const auto& bytes = file_->Find(name)->bytes;
    std::vector<T> values(bytes.size() / sizeof(T));
    std::memcpy(values.data(), bytes.data(), bytes.size());
    return values;
  }
  // Drops the intensity of a sensor's points.
  std::vector<double> SensorPoints(const std::string& name) const {
    std::vector<double> xyz;
    const std::vector<float> values = Values<float>(name);
    for (size_t i = 0; i < values.size(); i += 4) {
      xyz.insert(xyz.end(), values.begin() + i, values.begin() + i + 3);
    }
    return xyz;
  }
  Pose2 Pose(const std::string& name) const {
    const std::vector<double> values = Values<double>(name);
    return {{values[0], values[1]}, values[2]};
  }
  static double WorstDifference(const std::vector<double>& a, const std::vector<double>& b) {
    EXPECT_EQ(a.size(), b.size());
    double worst = 0;
    for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
      worst = std::max(worst, std::abs(a[i] - b[i]));
    }
    return worst;
  }

  std::unique_ptr<model::SafetensorsFile> file_;
  std::optional<HistogramBuilder> builder_;
};

TEST_F(GoldenLidar, HistogramEqualsNumpysExactly) {
  ASSERT_TRUE(builder_->Add(Values<double>("hist_points")).ok());
  EXPECT_EQ(builder_->counts(), Values<uint8_t>("hist_counts"));
}

TEST_F(GoldenLidar, EveryEdgePointFallsIntoTheReferencesCell) {
  std::ifstream in(std::string(kCase) + ".json");
  const auto edges = nlohmann::json::parse(in)["edge_points_row_col_or_null"];
  ASSERT_EQ(edges.size(), 22U);
  for (const auto& edge : edges) {
    builder_->Reset();
    ASSERT_TRUE(builder_->Add(edge["point"].get<std::vector<double>>()).ok());
    std::vector<uint8_t> expected(builder_->counts().size());
    if (!edge["bin"].is_null()) {
      expected[edge["bin"][0].get<int>() * 256 + edge["bin"][1].get<int>()] = 1;
    }
    EXPECT_EQ(builder_->counts(), expected) << edge;
  }
}

TEST_F(GoldenLidar, SensorPointsReachTheEgoFrame) {
  const auto ego = TransformPoints(SensorPoints("sensor_now"), TransformSensorToEgo());
  EXPECT_LE(WorstDifference(ego, Values<double>("ego_now")), 1e-12);
}

TEST_F(GoldenLidar, PreviousHalfSweepIsAlignedToTheCurrentPose) {
  const auto last = TransformPoints(SensorPoints("sensor_last"), TransformSensorToEgo());
  const auto aligned =
      TransformPoints(last, TransformLastToNow(Pose("pose_last"), Pose("pose_now")));
  EXPECT_LE(WorstDifference(aligned, Values<double>("ego_last_aligned")), 1e-12);
}

TEST_F(GoldenLidar, MergedHistogramEqualsTheReferencesExactly) {
  const auto to_ego = TransformSensorToEgo();
  const auto to_now = TransformLastToNow(Pose("pose_last"), Pose("pose_now"));
  const auto last = TransformPoints(SensorPoints("sensor_last"), to_ego);
  ASSERT_TRUE(builder_->Add(last, to_now).ok());
  ASSERT_TRUE(builder_->Add(SensorPoints("sensor_now"), to_ego).ok());
  EXPECT_EQ(builder_->counts(), Values<uint8_t>("merged_hist_counts"));
}

}  // namespace
}  // namespace automot::lidar
