// From the mapped tensors of a checkpoint to owned tensors of the model's dtype on its device.
#pragma once

#include <ATen/ATen.h>

#include <initializer_list>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/types/span.h"
#include "common/checkpoint/byte_progress.h"
#include "common/checkpoint/checkpoint.h"
#include "common/checkpoint/layout.h"
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

// Where the modules take their weights from, by the names of the official layout: a checkpoint that
// is served (WeightReader), or parameters that are trained, whose gradients then flow through
// everything that a module does with them. Remembers the first failure, so that a part can name all
// of its weights in a row and ask once. Not thread-safe.
class WeightSource {
 public:
  virtual ~WeightSource() = default;

  // The tensor in the model's dtype on its device; undefined after a failure (see status()).
  virtual at::Tensor Get(const std::string& name) = 0;
  // Tensors joined along their first axis: one product computes several projections.
  virtual at::Tensor GetJoined(std::initializer_list<std::string> names) = 0;
  // Some rows of a matrix, in the order of `rows`. The rest is compared too, but not kept.
  virtual at::Tensor GetRows(const std::string& name, absl::Span<const int64_t> rows) = 0;
  // True while batch normalisation is to use and to update the statistics of each batch; otherwise
  // it is folded into the convolutions.
  virtual bool batch_statistics() const { return false; }

  bool ok() const { return status_.ok(); }
  // OK, NOT_FOUND naming the first tensor that was missing, DATA_LOSS naming the first that is not
  // the manifest's, or INVALID_ARGUMENT for a row outside a tensor.
  const absl::Status& status() const { return status_; }
  const ModelGeometry& geometry() const { return geometry_; }
  const ModelOptions& options() const { return options_; }

 protected:
  // geometry: borrowed.
  WeightSource(const ModelGeometry& geometry, const ModelOptions& options)
      : geometry_(geometry), options_(options) {}

  const ModelGeometry& geometry_;
  const ModelOptions options_;
  absl::Status status_;
};

// Reads the tensors of one part of a checkpoint. Each tensor is compared with the checkpoint's
// manifest on its way, converted piece by piece, and its pages of the mapping are given back:
// loading holds the weights once, whatever the file's type. Long loads are logged (ByteProgress).
// Not thread-safe; the checkpoint must outlive the reader, not the tensors.
class WeightReader final : public WeightSource {
 public:
  WeightReader(const Checkpoint& checkpoint, const ModelOptions& options, ModelPart part);
  ~WeightReader() override;
  WeightReader(const WeightReader&) = delete;
  WeightReader& operator=(const WeightReader&) = delete;

  at::Tensor Get(const std::string& name) override;
  at::Tensor GetJoined(std::initializer_list<std::string> names) override;
  at::Tensor GetRows(const std::string& name, absl::Span<const int64_t> rows) override;

 private:
  const TensorView* Find(const std::string& name);
  void Read(const TensorView& view, absl::FunctionRef<void(absl::Span<const std::byte>)> sink);
  void Fill(const TensorView& view, const at::Tensor& target);

  const Checkpoint& checkpoint_;
  ByteProgress progress_;
  uint64_t bytes_since_trim_ = 0;
};

}  // namespace automot::model
