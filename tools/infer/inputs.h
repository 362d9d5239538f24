// The input file as tensors of one normal form: per-observation tensors with their batch axis,
// others without.
#pragma once

#include <ATen/ATen.h>

#include <map>
#include <string>

#include "absl/status/statusor.h"

namespace automot::infer {

// Immutable after Read. Tensors are CPU, contiguous, owned.
class Inputs {
 public:
  // NOT_FOUND for the file; INVALID_ARGUMENT for a broken file, and, naming the tensor, for an
  // unknown name, another dtype, a wrong number of axes, no element, or a number that is not
  // finite.
  static absl::StatusOr<Inputs> Read(const std::string& path);

  bool Has(const std::string& name) const { return tensors_.count(name) != 0; }
  // The tensor must be there (see PlanStages).
  const at::Tensor& Get(const std::string& name) const { return tensors_.at(name); }

 private:
  std::map<std::string, at::Tensor> tensors_;
};

// INVALID_ARGUMENT naming the tensor, its shape and the wanted one, unless they agree; -1 in
// `wanted` stands for any length, and `axes` says in words what is wanted.
absl::Status CheckAxes(const std::string& name, const at::Tensor& tensor, at::IntArrayRef wanted,
                       const std::string& axes);

}  // namespace automot::infer
