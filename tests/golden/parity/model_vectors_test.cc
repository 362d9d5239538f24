// automot-infer on two random geometries whose results transformers, timm and an independent
// reading of the action expert computed. The checkpoints are made anew: their bytes depend on the
// options alone.
#include <cmath>
#include <fstream>

#include "common/checkpoint/safetensors.h"
#include "common/model/weights.h"
#include "tests/golden/infer/infer_fixture.h"

namespace automot::golden {
namespace {

using nlohmann::json;

class StoredGeometry {
 public:
  explicit StoredGeometry(int index) {
    const std::string stem =
        AUTOMOT_SOURCE_DIR "/tests/golden/data/parity/model_" + std::to_string(index);
    std::ifstream in(stem + ".json");
    description_ = json::parse(in);
    auto file = model::SafetensorsFile::Open(stem + ".safetensors");
    if (!file.ok()) throw std::runtime_error(std::string(file.status().message()));
    file_ = *std::move(file);
  }

  at::Tensor Tensor(const std::string& name) const {
    const model::TensorView* const view = file_->Find(name);
    if (view == nullptr) throw std::runtime_error("no tensor " + name);
    return model::CopyToTensor(*view);
  }
  const json& description() const { return description_; }

  // Differences count in units of the reference's rms, at least 1.
  double Tolerance(const std::string& name, const at::Tensor& expected) const {
    const json& tolerances = description_["tolerances"];
    const std::string quantity = name.starts_with("deepstack") ? "deepstack" : name;
    if (!tolerances.contains(quantity)) return 0;
    const double rms = std::sqrt(expected.to(at::kDouble).square().mean().item<double>());
    return tolerances[quantity].get<double>() * std::max(1.0, rms);
  }

 private:
  json description_;
  std::unique_ptr<model::SafetensorsFile> file_;
};

class ModelVectorsTest : public InferTest, public testing::WithParamInterface<int> {
 protected:
  void MakeCheckpoint(const json& options) const {
    auto arguments = options.get<std::vector<std::string>>();
    arguments.insert(arguments.end(), {"--out", folder() + "/checkpoint"});
    const auto made = support::RunProgram("automot-make-checkpoint", arguments);
    ASSERT_EQ(made.exit_code, 0) << made.err;
  }
};

TEST_P(ModelVectorsTest, EqualsTheReferencesAtEveryStage) {
  const StoredGeometry stored(GetParam());
  ASSERT_NO_FATAL_FAILURE(MakeCheckpoint(stored.description()["make"]));
  ASSERT_FALSE(stored.description()["runs"].empty());
  for (const json& run : stored.description()["runs"]) {
    const std::string name = run["name"];
    SCOPED_TRACE(name);
    Tensors inputs;
    for (const std::string input : run["inputs"]) inputs[input] = stored.Tensor("in." + input);
    auto options = run["options"].get<std::vector<std::string>>();
    options.insert(options.end(), {"--checkpoint", folder() + "/checkpoint"});
    const Tensors outputs = RunOk(inputs, options);
    ASSERT_FALSE(outputs.empty());
    for (const std::string quantity : run["expected"]) {
      ASSERT_EQ(outputs.count(quantity), 1U) << quantity;
      const at::Tensor expected = stored.Tensor(name + "." + quantity);
      ExpectClose(outputs.at(quantity), expected, stored.Tolerance(quantity, expected), quantity);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Geometries, ModelVectorsTest, testing::Values(0, 1));

}  // namespace
}  // namespace automot::golden
