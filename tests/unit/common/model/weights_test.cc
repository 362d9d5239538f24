#include "common/model/weights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "common/checkpoint/make_manifest.h"
#include "common/model/action_model.h"
#include "common/model/bev/bev_encoder.h"
#include "common/model/understanding_model.h"
#include "common/tokenizer/tokenizer.h"
#include "tests/unit/common/checkpoint/checkpoint_fixture.h"

namespace automot::model {
namespace {

using ::testing::HasSubstr;

using Names = std::function<bool(const std::string&)>;

bool OneOf(std::string_view name, std::initializer_list<std::string_view> prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](std::string_view prefix) { return name.starts_with(prefix); });
}

// Stored, and run by nobody: what training alone uses, and counters.
bool IsUnused(std::string_view name) {
  return name.ends_with("num_batches_tracked") || name.ends_with("_head.query") ||
         OneOf(name, {"velocity_head.", "bev_encoder.c5_conv.", "bev_encoder.up_conv"});
}

bool IsUnderstanding(std::string_view name) {
  return PartOf(name) == ModelPart::kUnderstanding && !IsUnused(name);
}
bool IsBev(std::string_view name) { return PartOf(name) == ModelPart::kBev && !IsUnused(name); }
// The embedding: its rows of the lexicon are the decision head.
bool IsAction(std::string_view name) {
  return (PartOf(name) == ModelPart::kAction && !IsUnused(name)) || name == kEmbeddingName;
}
bool IsForDecisions(std::string_view name) {
  return IsAction(name) && !OneOf(name, {"route_", "waypoint_", "waypoints_"});
}

class Loading : public ShardedCheckpoint {
 protected:
  // The tiny checkpoint with a manifest that is wrong about every tensor that `sound` denies:
  // reading one of those is DATA_LOSS.
  std::shared_ptr<const Checkpoint> WithWrongHashes(const Names& sound) {
    WriteAll();
    auto manifest = MakeManifest(directory_);
    EXPECT_TRUE(manifest.ok()) << manifest.status();
    for (auto& [name, hash] : manifest->tensors) {
      if (!sound(name)) hash.front() = hash.front() == '0' ? '1' : '0';
    }
    EXPECT_TRUE(WriteManifest(directory_, *manifest).ok());
    auto checkpoint = Open();
    EXPECT_TRUE(checkpoint.ok()) << checkpoint.status();
    tokenizer_ = *Tokenizer::Load((*checkpoint)->tokenizer_path());
    return *checkpoint;
  }
  absl::Status LoadPlanning(const Checkpoint& checkpoint, bool decision_only) {
    const auto bev = BevEncoder::Load(checkpoint, {});
    if (!bev.ok()) return bev.status();
    return ActionModel::Load(checkpoint, *tokenizer_, {.decision_only = decision_only}).status();
  }
  // All of `used` are sound and nothing else is.
  std::shared_ptr<const Checkpoint> WithOnly(bool (*used)(std::string_view)) {
    return WithWrongHashes([used](const std::string& name) { return used(name); });
  }

  std::unique_ptr<const Tokenizer> tokenizer_;
};

TEST_F(Loading, TheUnderstandingExpertReadsItsOwnTensorsAlone) {
  const auto checkpoint = WithOnly(IsUnderstanding);
  const auto model = UnderstandingModel::Load(*checkpoint, {});
  EXPECT_TRUE(model.ok()) << model.status();
}

TEST_F(Loading, PlanningReadsTheActionExpertTheBevEncoderAndTheEmbeddingAlone) {
  const auto checkpoint =
      WithOnly([](std::string_view name) { return IsBev(name) || IsAction(name); });
  const absl::Status status = LoadPlanning(*checkpoint, /*decision_only=*/false);
  EXPECT_TRUE(status.ok()) << status;
}

TEST_F(Loading, DecisionsNeedNeitherRouteNorWaypoints) {
  const auto checkpoint =
      WithOnly([](std::string_view name) { return IsBev(name) || IsForDecisions(name); });
  const absl::Status status = LoadPlanning(*checkpoint, /*decision_only=*/true);
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(LoadPlanning(*checkpoint, /*decision_only=*/false).code(), absl::StatusCode::kDataLoss);
}

TEST_F(Loading, AnActionExpertForDecisionsRefusesToPlan) {
  WriteAll();
  auto checkpoint = Open();
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  const auto tokenizer = Tokenizer::Load((*checkpoint)->tokenizer_path());
  const auto model = ActionModel::Load(**checkpoint, **tokenizer, {.decision_only = true});
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ((*model)->Plan({}, {}).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(Loading, EachTensorThatIsRunIsCompared) {
  for (const char* wrong : {"vision_model.pos_embed.weight", kEmbeddingName,
                            "language_model.model.layers.2.self_attn.k_proj.weight"}) {
    const auto checkpoint = WithWrongHashes([&](const std::string& name) { return name != wrong; });
    const absl::Status status = UnderstandingModel::Load(*checkpoint, {}).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
    EXPECT_THAT(status.message(), HasSubstr(wrong));
  }
  for (const char* wrong : {"bev_encoder.lidar_encoder.s3.b1.conv2.bn.running_var", kEmbeddingName,
                            "language_model.model.layers.2.self_attn.v_proj_mot_gen.weight",
                            "waypoints_head.mlp.4.weight", "reasoning_projector.fc2.bias"}) {
    const auto checkpoint = WithWrongHashes([&](const std::string& name) { return name != wrong; });
    const absl::Status status = LoadPlanning(*checkpoint, /*decision_only=*/false);
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
    EXPECT_THAT(status.message(), HasSubstr(wrong));
  }
}

class Weights : public Loading {
 protected:
  void SetUp() override {
    Loading::SetUp();
    const at::Tensor values = Values();
    Store("route_projector.fc2.bias", DType::kBF16, values.to(at::kBFloat16));
    Store("waypoint_projector.fc2.bias", DType::kF16, values.to(at::kHalf));
    Store("reasoning_projector.fc2.bias", DType::kF32, values);
    WriteAll();
    checkpoint_ = *Open();
  }
  static at::Tensor Values() { return at::linspace(-3, 3, 160, at::kFloat); }
  void Store(const std::string& name, DType dtype, const at::Tensor& tensor) {
    const auto* begin = static_cast<const std::byte*>(tensor.const_data_ptr());
    tensors_[name] = {dtype, {160}, {begin, begin + tensor.nbytes()}};
  }
  WeightReader Reader(at::ScalarType dtype) {
    return WeightReader(*checkpoint_, {.dtype = dtype}, ModelPart::kAction);
  }

  std::shared_ptr<const Checkpoint> checkpoint_;
};

TEST_F(Weights, EveryStoredTypeIsRoundedOnceToTheModels) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    WeightReader reader = Reader(dtype);
    const at::Tensor values = Values();
    EXPECT_TRUE(
        at::equal(reader.Get("route_projector.fc2.bias"), values.to(at::kBFloat16).to(dtype)));
    EXPECT_TRUE(
        at::equal(reader.Get("waypoint_projector.fc2.bias"), values.to(at::kHalf).to(dtype)));
    EXPECT_TRUE(at::equal(reader.Get("reasoning_projector.fc2.bias"), values.to(dtype)));
    EXPECT_TRUE(reader.ok()) << reader.status();
  }
}

TEST_F(Weights, JoinsTensorsOfDifferentStoredTypes) {
  WeightReader reader = Reader(at::kFloat);
  const at::Tensor joined =
      reader.GetJoined({"route_projector.fc2.bias", "reasoning_projector.fc2.bias"});
  ASSERT_EQ(joined.numel(), 320);
  EXPECT_TRUE(at::equal(joined.narrow(0, 0, 160), Values().to(at::kBFloat16).to(at::kFloat)));
  EXPECT_TRUE(at::equal(joined.narrow(0, 160, 160), Values()));
}

TEST_F(Weights, RowsAreThoseOfTheWholeMatrixInTheOrderAsked) {
  WeightReader reader = Reader(at::kFloat);
  const at::Tensor whole = reader.Get(kEmbeddingName);
  const std::vector<int64_t> rows = {1023, 0, 5};
  const at::Tensor some = reader.GetRows(kEmbeddingName, rows);
  EXPECT_TRUE(at::equal(some, whole.index_select(0, at::tensor(rows, at::kLong))));
  EXPECT_FALSE(reader.GetRows(kEmbeddingName, {1024}).defined());
  EXPECT_THAT(reader.status().message(), HasSubstr("row 1024"));
}

TEST_F(Weights, TheFirstFailureStays) {
  WeightReader reader = Reader(at::kFloat);
  EXPECT_FALSE(reader.Get("no.such").defined());
  EXPECT_FALSE(reader.GetJoined({kEmbeddingName, "nor.this"}).defined());
  EXPECT_EQ(reader.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(reader.status().message(), HasSubstr("\"no.such\""));
}

}  // namespace
}  // namespace automot::model
