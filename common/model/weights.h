// From the mapped tensors of a checkpoint to owned tensors of the model's dtype on its device.
#pragma once

#include <ATen/ATen.h>

#include <initializer_list>
#include <string>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "common/checkpoint/checkpoint.h"
#include "common/checkpoint/safetensors.h"

namespace automot::model {

// Arithmetic and place of a loaded model. dtype: kFloat or kBFloat16.
struct ModelOptions {
  at::ScalarType dtype = at::kFloat;
  at::Device device = at::kCPU;
};

// INVALID_ARGUMENT for another dtype than kFloat and kBFloat16.
absl::Status ValidateOptions(const ModelOptions& options);

at::ScalarType ToScalarType(DType dtype);

// Copies a mapped tensor as it is stored: CPU, owned, aligned.
at::Tensor CopyToTensor(const TensorView& view);

// Reads tensors by name and remembers the first failure, so that a part can name all of its weights
// in a row and ask once. Nothing borrows the mapping afterwards: weights stay resident when the
// file does not. Not thread-safe; the checkpoint must outlive the reader.
class WeightReader {
 public:
  WeightReader(const Checkpoint& checkpoint, const ModelOptions& options)
      : checkpoint_(checkpoint), options_(options) {}

  // The tensor in the model's dtype on its device; undefined after a failure (see status()).
  at::Tensor Get(const std::string& name);
  // Tensors joined along their first axis: one product computes several projections.
  at::Tensor GetJoined(std::initializer_list<std::string> names);
  // Some rows of a matrix, in the order of `rows`; the rest is not read.
  at::Tensor GetRows(const std::string& name, absl::Span<const int64_t> rows);

  bool ok() const { return status_.ok(); }
  // OK, NOT_FOUND naming the first tensor that was missing, or INVALID_ARGUMENT for a row outside
  // it.
  const absl::Status& status() const { return status_; }
  const ModelGeometry& geometry() const { return checkpoint_.geometry(); }
  const ModelOptions& options() const { return options_; }

 private:
  const TensorView* Find(const std::string& name);

  const Checkpoint& checkpoint_;
  ModelOptions options_;
  absl::Status status_;
};

}  // namespace automot::model
