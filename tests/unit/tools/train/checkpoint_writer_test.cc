#include "tools/train/checkpoint_writer.h"

#include <filesystem>

#include "common/checkpoint/checkpoint.h"
#include "gtest/gtest.h"
#include "tests/unit/tools/train/synthetic_dataset.h"

namespace automot::train {
namespace {

namespace fs = std::filesystem;

constexpr char kTiny[] = AUTOMOT_SOURCE_DIR "/tests/golden/data/tiny";
constexpr char kHead[] = "route_head.mlp.0.weight";

class Writing : public testing::Test {
 protected:
  Writing() : root_(FreshDirectory("writing")), checkpoint_(Open(kTiny)) {
    auto parameters = Parameters::Load(*checkpoint_, at::kCPU);
    EXPECT_TRUE(parameters.ok()) << parameters.status();
    out_.documents = kTiny;
    out_.tensors = parameters->tensors();
  }
  ~Writing() override { fs::remove_all(root_); }

  static std::shared_ptr<const model::Checkpoint> Open(const std::string& directory,
                                                       bool use_ema = false) {
    auto checkpoint = model::Checkpoint::Open(directory, {.use_ema = use_ema});
    EXPECT_TRUE(checkpoint.ok()) << checkpoint.status();
    return *checkpoint;
  }
  static at::Tensor Read(const model::Checkpoint& checkpoint, const char* name) {
    return model::CopyToTensor(*checkpoint.Find(name));
  }

  const std::string root_;
  const std::shared_ptr<const model::Checkpoint> checkpoint_;
  TrainedCheckpoint out_;
};

TEST_F(Writing, EveryTensorComesBack) {
  ASSERT_TRUE(WriteTrainedCheckpoint(out_, root_ + "/a").ok());
  const auto written = Open(root_ + "/a");
  ASSERT_EQ(written->tensors().size(), checkpoint_->tensors().size());
  for (const model::TensorView* view : checkpoint_->tensors()) {
    EXPECT_TRUE(Read(*written, view->name.c_str()).equal(model::CopyToTensor(*view)));
  }
  EXPECT_TRUE(written->geometry().weights_trained);
  EXPECT_TRUE(fs::exists(root_ + "/a/tokenizer.json"));
  EXPECT_FALSE(fs::exists(root_ + "/a.writing"));
}

TEST_F(Writing, AveragesAreServedWhereAsked) {
  out_.average[kHead] = at::ones_like(out_.tensors.at(kHead));
  ASSERT_TRUE(WriteTrainedCheckpoint(out_, root_ + "/a").ok());
  EXPECT_FALSE(Read(*Open(root_ + "/a"), kHead).equal(out_.average.at(kHead)));
  EXPECT_TRUE(Read(*Open(root_ + "/a", true), kHead).equal(out_.average.at(kHead)));
}

TEST_F(Writing, ASecondCheckpointReplacesTheFirstAsAWhole) {
  out_.state["x"] = at::full({3}, 1.5);
  out_.state_metadata["step"] = "7";
  ASSERT_TRUE(WriteTrainedCheckpoint(out_, root_ + "/a").ok());
  auto state = ReadTrainingState(root_ + "/a");
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_EQ(state->metadata.at("step"), "7");
  EXPECT_TRUE(state->tensors.at("x").equal(out_.state.at("x")));
  out_.state.clear();
  out_.tensors[kHead] = at::zeros_like(out_.tensors.at(kHead));
  ASSERT_TRUE(WriteTrainedCheckpoint(out_, root_ + "/a").ok());
  EXPECT_EQ(ReadTrainingState(root_ + "/a").status().code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(Read(*Open(root_ + "/a"), kHead).equal(out_.tensors.at(kHead)));
}

TEST_F(Writing, AFailedWriteLeavesTheOldOne) {
  ASSERT_TRUE(WriteTrainedCheckpoint(out_, root_ + "/a").ok());
  out_.documents = root_ + "/nowhere";
  EXPECT_FALSE(WriteTrainedCheckpoint(out_, root_ + "/a").ok());
  EXPECT_EQ(Open(root_ + "/a")->tensors().size(), checkpoint_->tensors().size());
  EXPECT_FALSE(fs::exists(root_ + "/a.writing"));
}

TEST_F(Writing, WeightsMayBeStoredShort) {
  out_.dtype = model::DType::kBF16;
  out_.weights_note = "understanding expert trained, action expert untrained";
  ASSERT_TRUE(WriteTrainedCheckpoint(out_, root_ + "/a").ok());
  const auto written = Open(root_ + "/a");
  EXPECT_EQ(written->Find(kHead)->dtype, model::DType::kBF16);
  EXPECT_FALSE(written->geometry().weights_trained);
}

}  // namespace
}  // namespace automot::train
