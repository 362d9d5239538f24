// The BEV encoder against the reference (tests/golden/data/README.md, cases c_bev and g_bf16).
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/checkpoint/checkpoint.h"
#include "common/model/bev/bev_encoder.h"
#include "common/model/weights.h"

namespace automot::model {
namespace {

using ::testing::HasSubstr;

const char kData[] = AUTOMOT_SOURCE_DIR "/tests/golden/data/";
constexpr double kTolerance = 1e-4;  // float32, maximal absolute difference

class GoldenBev : public ::testing::Test {
 protected:
  void SetUp() override {
    auto checkpoint = Checkpoint::Open(std::string(kData) + "tiny");
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
    checkpoint_ = *checkpoint;
    LoadEncoder(at::kFloat);
    case_ = OpenCase("c_bev");
    rgb_ = Tensor(*case_, "rgb");
    counts_ = Tensor(*case_, "lidar_hist_counts");
  }
  static std::unique_ptr<SafetensorsFile> OpenCase(const std::string& name) {
    auto file = SafetensorsFile::Open(std::string(kData) + "cases/" + name + ".safetensors");
    EXPECT_TRUE(file.ok()) << file.status();
    return *std::move(file);
  }
  static at::Tensor Tensor(const SafetensorsFile& file, const std::string& name) {
    const TensorView* view = file.Find(name);
    EXPECT_NE(view, nullptr) << name;
    return CopyToTensor(*view);
  }
  void LoadEncoder(at::ScalarType dtype) {
    auto encoder = BevEncoder::Load(*checkpoint_, {.dtype = dtype, .device = at::kCPU});
    ASSERT_TRUE(encoder.ok()) << encoder.status();
    encoder_ = *std::move(encoder);
  }
  at::Tensor Encode(const at::Tensor& rgb, const at::Tensor& counts, BevStages* stages = nullptr) {
    auto feature = encoder_->Encode(rgb, counts, stages);
    EXPECT_TRUE(feature.ok()) << feature.status();
    return feature.ok() ? *feature : at::Tensor();
  }
  static double WorstDifference(const at::Tensor& a, const at::Tensor& b) {
    EXPECT_EQ(a.sizes(), b.sizes());
    return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
  }
  std::string EncodeError(const at::Tensor& rgb, const at::Tensor& counts) {
    const auto feature = encoder_->Encode(rgb, counts);
    EXPECT_EQ(feature.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(feature.status().message());
  }

  std::shared_ptr<const Checkpoint> checkpoint_;
  std::unique_ptr<BevEncoder> encoder_;
  std::unique_ptr<SafetensorsFile> case_;
  at::Tensor rgb_, counts_;
};

TEST_F(GoldenBev, FeatureOfABatchEqualsTheReferences) {
  const double worst = WorstDifference(Encode(rgb_, counts_), Tensor(*case_, "bev_feature"));
  RecordProperty("max_abs_difference", std::to_string(worst));
  EXPECT_LE(worst, kTolerance);
}

TEST_F(GoldenBev, FeatureOfOneObservationDoesNotDependOnTheBatch) {
  const at::Tensor expected = Tensor(*case_, "bev_feature");
  for (int64_t i = 0; i < rgb_.size(0); ++i) {
    const at::Tensor one = Encode(rgb_.narrow(0, i, 1), counts_.narrow(0, i, 1));
    EXPECT_LE(WorstDifference(one, expected.narrow(0, i, 1)), kTolerance) << "observation " << i;
  }
}

TEST_F(GoldenBev, EveryStageEqualsTheReferences) {
  BevStages stages;
  Encode(rgb_.narrow(0, 0, 1), counts_.narrow(0, 0, 1), &stages);
  const auto expect_stage = [&](const at::Tensor& ours, const std::string& name) {
    ASSERT_TRUE(ours.defined()) << name;
    EXPECT_LE(WorstDifference(ours, Tensor(*case_, "obs0_" + name).unsqueeze(0)), kTolerance)
        << name;
  };
  expect_stage(stages.image_stem, "image_stem");
  for (size_t i = 0; i < 4; ++i) {
    const std::string number = std::to_string(i + 1);
    expect_stage(stages.image_stage[i], "image_stage" + number);
    if (i > 0) expect_stage(stages.lidar_stage[i], "lidar_stage" + number);
    if (i < 3) expect_stage(stages.image_fused[i], "image_fused" + number);
    if (i > 0) expect_stage(stages.lidar_fused[i], "lidar_fused" + number);
  }
  EXPECT_FALSE(stages.image_fused[3].defined()) << "dead work is done";
}

TEST_F(GoldenBev, CountsBecomeTheReferencesValuesExactly) {
  const at::Tensor table = Tensor(*OpenCase("f_lidar"), "hist_value_table");
  at::Tensor counts = counts_.narrow(0, 0, 1).clone();
  counts[0][0][0].narrow(0, 0, table.size(0)).copy_(at::arange(table.size(0)));
  BevStages stages;
  Encode(rgb_.narrow(0, 0, 1), counts, &stages);
  EXPECT_TRUE(at::equal(stages.lidar_input[0][0][0].narrow(0, 0, table.size(0)), table))
      << stages.lidar_input[0][0][0].narrow(0, 0, table.size(0));
}

TEST_F(GoldenBev, FeatureIsContiguousAndOfTheModelsDtype) {
  const at::Tensor feature = Encode(rgb_, counts_);
  EXPECT_TRUE(feature.is_contiguous());
  EXPECT_EQ(feature.scalar_type(), at::kFloat);
}

TEST_F(GoldenBev, Bfloat16StaysWithinTheSpreadOfTwoCorrectImplementations) {
  LoadEncoder(at::kBFloat16);
  const at::Tensor expected = Tensor(*OpenCase("g_bf16"), "bev_feature");
  const at::Tensor feature = Encode(rgb_.narrow(0, 0, 1), counts_.narrow(0, 0, 1)).squeeze(0);
  ASSERT_EQ(feature.scalar_type(), at::kBFloat16);
  ASSERT_EQ(feature.sizes(), expected.sizes());
  const at::Tensor difference = (feature.to(at::kFloat) - expected.to(at::kFloat)).abs();
  RecordProperty("mean_abs_difference", std::to_string(difference.mean().item<double>()));
  EXPECT_LE(difference.mean().item<double>(), 9e-2);
  EXPECT_LE(difference.max().item<double>(), 1.0);
}

TEST_F(GoldenBev, WrongShapesAndDtypesAreNamed) {
  EXPECT_THAT(EncodeError(rgb_.narrow(1, 0, 32), counts_),
              HasSubstr("rgb is Byte [3, 32, 128, 3]"));
  EXPECT_THAT(EncodeError(rgb_.to(at::kFloat), counts_), HasSubstr("rgb is Float"));
  EXPECT_THAT(EncodeError(rgb_, counts_.squeeze(1)),
              HasSubstr("lidar_counts is Byte [3, 256, 256]"));
  EXPECT_THAT(EncodeError(rgb_, at::Tensor()), HasSubstr("lidar_counts is undefined"));
  EXPECT_THAT(EncodeError(rgb_, counts_.narrow(0, 0, 2)), HasSubstr("rgb has batch 3"));
  EXPECT_THAT(EncodeError(rgb_.narrow(0, 0, 0), counts_), HasSubstr("with B >= 1"));
}

}  // namespace
}  // namespace automot::model
