#include "tests/golden/infer/infer_fixture.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <stdexcept>

#include "common/checkpoint/safetensors.h"
#include "common/model/weights.h"

namespace automot::golden {
namespace {

model::DType FileType(at::ScalarType type) {
  switch (type) {
    case at::kFloat:
      return model::DType::kF32;
    case at::kDouble:
      return model::DType::kF64;
    case at::kLong:
      return model::DType::kI64;
    case at::kInt:
      return model::DType::kI32;
    case at::kByte:
      return model::DType::kU8;
    default:
      throw std::runtime_error("a test feeds a dtype that is not planned for");
  }
}

void Check(const absl::Status& status) {
  if (!status.ok()) throw std::runtime_error(std::string(status.message()));
}

void WriteTensors(const Tensors& tensors, const std::string& path) {
  model::SafetensorsWriter writer;
  std::vector<at::Tensor> kept;
  for (const auto& [name, tensor] : tensors) {
    kept.push_back(tensor.contiguous());
    Check(writer.Add(
        name, FileType(tensor.scalar_type()), tensor.sizes().vec(),
        {static_cast<const std::byte*>(kept.back().const_data_ptr()), kept.back().nbytes()}));
  }
  Check(writer.Write(path));
}

Tensors ReadTensors(const std::string& path) {
  const auto file = model::SafetensorsFile::Open(path);
  Check(file.status());
  Tensors tensors;
  for (const model::TensorView& view : (*file)->tensors()) {
    tensors.emplace(view.name, model::CopyToTensor(view));
  }
  return tensors;
}

}  // namespace

Tensors InputsOf(const GoldenCase& golden) {
  Tensors inputs;
  for (const auto& [name, tensor] : golden.json().at("tensors").items()) {
    if (tensor.at("role") == "input") inputs.emplace(name, golden.Input(name));
  }
  return inputs;
}

Tensors FastInputs() {
  const GoldenCase golden("d_fast");
  Tensors inputs = InputsOf(golden);
  inputs["position_start"] = golden.Expected("k0_position_ids")[0].narrow(0, 0, 1);
  return inputs;
}

InferTest::InferTest() {
  std::string pattern = testing::TempDir() + "/automot_infer_XXXXXX";
  if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("cannot create a folder");
  folder_ = pattern;
}

InferTest::~InferTest() { std::filesystem::remove_all(folder_); }

support::ProgramResult InferTest::RunOnFile(const std::vector<std::string>& options) const {
  const std::map<std::string, std::string> defaults = {{"--checkpoint", TinyDirectory()},
                                                       {"--inputs", input_path()},
                                                       {"--outputs", output_path()},
                                                       {"--threads", "1"}};
  std::vector<std::string> arguments = options;
  for (const auto& [flag, value] : defaults) {
    if (std::find(options.begin(), options.end(), flag) != options.end()) continue;
    arguments.insert(arguments.end(), {flag, value});
  }
  return support::RunProgram("automot-infer", arguments);
}

InferResult InferTest::Run(const Tensors& inputs, const std::vector<std::string>& options) const {
  WriteTensors(inputs, input_path());
  InferResult result{RunOnFile(options), {}};
  if (result.program.exit_code == 0) result.outputs = ReadTensors(output_path());
  return result;
}

Tensors InferTest::RunOk(const Tensors& inputs, const std::vector<std::string>& options) const {
  InferResult result = Run(inputs, options);
  EXPECT_EQ(result.program.exit_code, 0) << result.program.err;
  return std::move(result.outputs);
}

void ExpectFastOutputs(const Tensors& outputs, const GoldenCase& golden,
                       const std::string& prefix) {
  const std::map<std::string, double> tolerances = {
      {"hidden", kHiddenTolerance},   {"logits", kLogitsTolerance}, {"pred_ids", 0},
      {"route_raw", kPointTolerance}, {"route", kPointTolerance},   {"wp_offsets", kPointTolerance},
      {"waypoints", kPointTolerance}};
  for (const auto& [name, tolerance] : tolerances) {
    ASSERT_EQ(outputs.count(name), 1U) << name << " is not written";
    const at::Tensor& output = outputs.at(name);
    const at::Tensor expected = golden.Expected(prefix + name);
    const bool same_axes = output.dim() == expected.dim();
    ExpectClose(same_axes ? output : output.squeeze(0), expected, tolerance, prefix + name);
  }
}

}  // namespace automot::golden
