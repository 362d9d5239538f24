// Inputs and expected outputs of one golden case (tests/golden/data/README.md).
#pragma once

#include <ATen/ATen.h>

#include <memory>
#include <string>

#include "common/checkpoint/checkpoint.h"
#include "common/checkpoint/safetensors.h"
#include "common/tokenizer/tokenizer.h"
#include "nlohmann/json.hpp"

namespace automot::golden {

// Largest absolute differences that count as equal, float32 (README.md, column "use").
inline constexpr double kPixelTolerance = 1e-6;
inline constexpr double kVisionTolerance = 2e-5;
inline constexpr double kRotaryTolerance = 2e-6;
inline constexpr double kCacheTolerance = 1e-4;
inline constexpr double kHiddenTolerance = 5e-5;
inline constexpr double kLogitsTolerance = 1e-4;
inline constexpr double kPointTolerance = 1e-4;

// Throws std::runtime_error where the data is not there: a test cannot go on without.
class GoldenCase {
 public:
  explicit GoldenCase(const std::string& name);

  // What may be fed: only tensors whose role is "input".
  at::Tensor Input(const std::string& name) const;
  // What results are compared with: any other tensor.
  at::Tensor Expected(const std::string& name) const;
  const nlohmann::json& json() const { return json_; }

 private:
  at::Tensor Load(const std::string& name) const;

  std::string name_;
  std::unique_ptr<model::SafetensorsFile> file_;
  nlohmann::json json_;
};

// The tiny checkpoint and its tokenizer, opened once per process.
const model::Checkpoint& TinyCheckpoint();
const model::Tokenizer& TinyTokenizer();
std::string TinyDirectory();

// Fails the test where shapes differ, or values by more than `tolerance`; integers must be equal.
void ExpectClose(const at::Tensor& actual, const at::Tensor& expected, double tolerance,
                 const std::string& what);
void ExpectEqual(const at::Tensor& actual, const at::Tensor& expected, const std::string& what);

}  // namespace automot::golden
