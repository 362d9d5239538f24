// automot-infer, the built program, on the tiny checkpoint: tensors in, tensors out.
#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "tests/golden/golden_case.h"
#include "tests/support/run_program.h"

namespace automot::golden {

using Tensors = std::map<std::string, at::Tensor>;

// Every tensor of a case whose role is "input".
Tensors InputsOf(const GoldenCase& golden);
// The inputs of d_fast and the position that its first use starts at.
Tensors FastInputs();

struct InferResult {
  support::ProgramResult program;
  Tensors outputs;  // empty unless the program succeeded
};

class InferTest : public testing::Test {
 protected:
  InferTest();
  ~InferTest() override;

  // Writes `inputs`, runs the program and reads what it wrote.
  InferResult Run(const Tensors& inputs, const std::vector<std::string>& options = {}) const;
  // As Run; the test fails, naming the program's complaint, unless it succeeds.
  Tensors RunOk(const Tensors& inputs, const std::vector<std::string>& options = {}) const;
  // Runs on whatever lies at input_path().
  support::ProgramResult RunOnFile(const std::vector<std::string>& options = {}) const;

  std::string input_path() const { return folder_ + "/in.safetensors"; }
  std::string output_path() const { return folder_ + "/out.safetensors"; }
  const std::string& folder() const { return folder_; }

 private:
  std::string folder_;
};

// Compares `outputs` with what a case expects under `prefix` + name, for every name that the action
// expert writes. Axes of length 1 do not count.
void ExpectFastOutputs(const Tensors& outputs, const GoldenCase& golden, const std::string& prefix);

}  // namespace automot::golden
