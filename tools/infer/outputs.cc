#include "tools/infer/outputs.h"

#include "common/checkpoint/safetensors.h"
#include "common/status/status_macros.h"

namespace automot::infer {
namespace {

at::ScalarType StoredType(const at::Tensor& tensor) {
  if (tensor.is_floating_point()) return at::kFloat;
  return tensor.scalar_type() == at::kBool ? at::kByte : tensor.scalar_type();
}

model::DType FileType(at::ScalarType type) {
  if (type == at::kFloat) return model::DType::kF32;
  return type == at::kLong ? model::DType::kI64 : model::DType::kU8;
}

}  // namespace

void Outputs::Add(const std::string& name, const at::Tensor& tensor) {
  tensors_[name] = tensor.to(at::kCPU, StoredType(tensor)).contiguous();
}

absl::Status Outputs::Write(const std::string& path) const {
  model::SafetensorsWriter writer;
  for (const auto& [name, tensor] : tensors_) {
    const absl::Span<const std::byte> bytes(static_cast<const std::byte*>(tensor.const_data_ptr()),
                                            tensor.nbytes());
    AUTOMOT_RETURN_IF_ERROR(
        writer.Add(name, FileType(tensor.scalar_type()), tensor.sizes().vec(), bytes));
  }
  return writer.Write(path);
}

}  // namespace automot::infer
