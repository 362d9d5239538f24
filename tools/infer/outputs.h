// The results of the stages, by name, until they are written as one file.
#pragma once

#include <ATen/ATen.h>

#include <map>
#include <string>

#include "absl/status/status.h"

namespace automot::infer {

// Not thread-safe.
class Outputs {
 public:
  // Keeps a CPU copy: floating point becomes float32 (exact from bfloat16), bool becomes uint8. A
  // name is added once.
  void Add(const std::string& name, const at::Tensor& tensor);

  // `path` is afterwards the whole new file, or what it was before.
  absl::Status Write(const std::string& path) const;

 private:
  std::map<std::string, at::Tensor> tensors_;
};

}  // namespace automot::infer
