#include "tests/golden/golden_case.h"

#include <ATen/Parallel.h>

#include <fstream>
#include <stdexcept>

#include "common/model/weights.h"
#include "gtest/gtest.h"

namespace automot::golden {
namespace {

std::string DataDirectory() { return AUTOMOT_SOURCE_DIR "/tests/golden/data/"; }

// One intra-op thread: the tests share their machine, and spinning workers would only slow them.
class OneThread : public testing::Environment {
  void SetUp() override { at::set_num_threads(1); }
};
[[maybe_unused]] testing::Environment* const kOneThread =
    testing::AddGlobalTestEnvironment(new OneThread);

template <typename T>
T OrThrow(absl::StatusOr<T> value) {
  if (!value.ok()) throw std::runtime_error(std::string(value.status().message()));
  return std::move(value).value();
}

}  // namespace

GoldenCase::GoldenCase(const std::string& name) : name_(name) {
  const std::string stem = DataDirectory() + "cases/" + name;
  file_ = OrThrow(model::SafetensorsFile::Open(stem + ".safetensors"));
  std::ifstream stream(stem + ".json");
  if (!stream) throw std::runtime_error("cannot read " + stem + ".json");
  json_ = nlohmann::json::parse(stream);
}

at::Tensor GoldenCase::Load(const std::string& name) const {
  const model::TensorView* view = file_->Find(name);
  if (view == nullptr) throw std::runtime_error(name_ + " has no tensor " + name);
  return model::CopyToTensor(*view);
}

at::Tensor GoldenCase::Input(const std::string& name) const {
  if (json_.at("tensors").at(name).at("role") != "input") {
    throw std::runtime_error(name_ + ": " + name + " is no input");
  }
  return Load(name);
}

at::Tensor GoldenCase::Expected(const std::string& name) const {
  if (json_.at("tensors").at(name).at("role") == "input") {
    throw std::runtime_error(name_ + ": " + name + " is an input");
  }
  return Load(name);
}

std::string TinyDirectory() { return DataDirectory() + "tiny"; }

const model::Checkpoint& TinyCheckpoint() {
  static const auto* const kCheckpoint =
      new auto(OrThrow(model::Checkpoint::Open(TinyDirectory())));
  return **kCheckpoint;
}

const model::Tokenizer& TinyTokenizer() {
  static const auto* const kTokenizer =
      new auto(OrThrow(model::Tokenizer::Load(TinyCheckpoint().tokenizer_path())));
  return **kTokenizer;
}

void ExpectClose(const at::Tensor& actual, const at::Tensor& expected, double tolerance,
                 const std::string& what) {
  ASSERT_TRUE(actual.defined()) << what;
  ASSERT_EQ(actual.sizes(), expected.sizes()) << what;
  const at::Tensor difference = (actual.to(at::kDouble) - expected.to(at::kDouble)).abs();
  // Written so that a NaN fails.
  const double largest = difference.max().item<double>();
  EXPECT_TRUE(largest <= tolerance) << what << " differs by " << largest << ", limit " << tolerance;
}

void ExpectEqual(const at::Tensor& actual, const at::Tensor& expected, const std::string& what) {
  ASSERT_TRUE(actual.defined()) << what;
  ASSERT_EQ(actual.sizes(), expected.sizes()) << what;
  EXPECT_TRUE(at::equal(actual.to(expected.scalar_type()), expected)) << what;
}

}  // namespace automot::golden
