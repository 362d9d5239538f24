// The tensors of a checkpoint as parameters: float32, by the names of the official layout, from
// which the modules that serve are bound, and to which their gradients come.
#pragma once

#include <ATen/ATen.h>

#include <functional>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/checkpoint/checkpoint.h"
#include "common/model/weights.h"

namespace automot::train {

// Tensors by canonical name. Ordered, so that every walk over them has one order.
using TensorMap = std::map<std::string, at::Tensor>;

// Not thread-safe. Tensors are float32 on `device`, counters int64.
class Parameters {
 public:
  // DATA_LOSS where a tensor is not the manifest's.
  static absl::StatusOr<Parameters> Load(const model::Checkpoint& checkpoint, at::Device device);

  // Asks for the gradients of the tensors that `trained` names; all others are constants.
  void Train(const std::function<bool(std::string_view name)>& trained);

  const model::ModelGeometry& geometry() const { return geometry_; }
  at::Device device() const { return device_; }
  const TensorMap& tensors() const { return tensors_; }
  // Those that Train named, in the order of their names.
  std::vector<std::string> trained() const;

 private:
  Parameters(const model::ModelGeometry& geometry, at::Device device)
      : geometry_(geometry), device_(device) {}

  model::ModelGeometry geometry_;
  at::Device device_;
  TensorMap tensors_;
};

// What a stage of training changes. Tensors that no module runs are in neither.
bool IsUnderstandingWeight(std::string_view name);
bool IsActionWeight(std::string_view name);  // the action expert's and the BEV encoder's
// Statistics of batch normalisation: not trained, but moved by each batch.
bool IsStatistic(std::string_view name);

// Hands parameters to the modules. Bind modules anew after each change of a parameter: joined and
// folded weights are made then. batch_statistics: see WeightSource; only while training.
class ParameterSource final : public model::WeightSource {
 public:
  // parameters: borrowed.
  explicit ParameterSource(const Parameters& parameters, bool batch_statistics = false);

  at::Tensor Get(const std::string& name) override;
  at::Tensor GetJoined(std::initializer_list<std::string> names) override;
  at::Tensor GetRows(const std::string& name, absl::Span<const int64_t> rows) override;
  bool batch_statistics() const override { return batch_statistics_; }

 private:
  const Parameters& parameters_;
  const bool batch_statistics_;
};

}  // namespace automot::train
