// Shape and memory order of the keys and values in a context snapshot.
//
// One allocation holds every layer, layer-major; within a layer K, then V:
//   K: `[tokens, kv_heads, k_head_dim]`, element_type, contiguous, 64-byte aligned
//   V: `[tokens, kv_heads, v_head_dim]`, element_type, contiguous, 64-byte aligned
// kCompact holds only what the action expert reads (spec fact 0.3: its own KV heads, all K dims of
// those heads, the first mot_head_dim V dims); kFull holds everything the understanding expert
// wrote.
//
// The quantised element types hold, in each tensor, codes of one byte in the same order, zero bytes
// up to the next multiple of 64, and one scale per head: `[kv_heads]`, float32. A value is its code
// times the scale of its layer, tensor and head (quantisation.h).
//
// Plain values, any thread. A layout that arrives from outside must pass Validate() before any
// other method is called: the sizes are overflow-free only within its limits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"

namespace automot::context {

inline constexpr std::size_t kTensorAlignment = 64;  // bytes

// Which of the two tensors of a layer.
enum class TensorKind : uint8_t { kKey = 0, kValue = 1 };

struct ContextLayout {
  enum class Kind : uint8_t { kFull = 0, kCompact = 1 };
  enum class ElementType : uint8_t {
    kFloat32 = 0,
    kBFloat16 = 1,
    kFloat8E4M3 = 2,  // quantised: OCP FP8 without infinities, largest value 448
    kInt8 = 3,        // quantised: [-127, 127]
  };

  // Inclusive limits that Validate() enforces; the product stays far below 2^63.
  static constexpr int kMaxLayers = 256;
  static constexpr int kMaxTokens = 65536;
  static constexpr int kMaxKvHeads = 256;
  static constexpr int kMaxHeadDim = 1024;
  static constexpr std::size_t kMaxTotalBytes = std::size_t{4} << 30;

  Kind kind = Kind::kCompact;
  ElementType element_type = ElementType::kFloat32;
  int layers = 0;
  int tokens = 0;  // prefix length
  int kv_heads = 0;
  int k_head_dim = 0;
  int v_head_dim = 0;

  // OK, or INVALID_ARGUMENT naming the field, its value and the limit.
  absl::Status Validate() const;

  bool quantised() const {
    return element_type == ElementType::kFloat8E4M3 || element_type == ElementType::kInt8;
  }
  std::size_t element_bytes() const {
    return element_type == ElementType::kFloat32 ? 4 : quantised() ? 1 : 2;
  }
  int head_dim(TensorKind tensor) const {
    return tensor == TensorKind::kKey ? k_head_dim : v_head_dim;
  }
  // Bytes of one token's row of a tensor.
  std::size_t row_bytes(TensorKind tensor) const {
    return static_cast<std::size_t>(kv_heads) * static_cast<std::size_t>(head_dim(tensor)) *
           element_bytes();
  }
  // Where a tensor's scales begin. Requires quantised().
  std::size_t scales_offset(TensorKind tensor) const {
    return Align(static_cast<std::size_t>(tokens) * row_bytes(tensor));
  }
  // Payload bytes of one tensor of one layer, scales included, without alignment padding.
  std::size_t key_bytes() const { return tensor_bytes(TensorKind::kKey); }
  std::size_t value_bytes() const { return tensor_bytes(TensorKind::kValue); }
  std::size_t tensor_bytes(TensorKind tensor) const {
    if (!quantised()) return static_cast<std::size_t>(tokens) * row_bytes(tensor);
    return scales_offset(tensor) + static_cast<std::size_t>(kv_heads) * sizeof(float);
  }
  // Distance between two layers, padding included.
  std::size_t layer_stride_bytes() const { return Align(key_bytes()) + Align(value_bytes()); }
  // Offset of a tensor from the start of the allocation. Requires 0 <= layer < layers.
  std::size_t offset_bytes(int layer, TensorKind tensor) const {
    return static_cast<std::size_t>(layer) * layer_stride_bytes() +
           (tensor == TensorKind::kKey ? 0 : Align(key_bytes()));
  }
  // Bytes of the allocation, padding included.
  std::size_t total_bytes() const {
    return static_cast<std::size_t>(layers) * layer_stride_bytes();
  }
  // Bytes that cross a wire, padding excluded.
  std::size_t payload_bytes() const {
    return static_cast<std::size_t>(layers) * (key_bytes() + value_bytes());
  }

  // "compact bfloat16 layers=36 tokens=625 kv_heads=4 k_head_dim=128 v_head_dim=80"
  std::string ToString() const;

  friend bool operator==(const ContextLayout&, const ContextLayout&) = default;

 private:
  static std::size_t Align(std::size_t bytes) {
    return (bytes + kTensorAlignment - 1) & ~(kTensorAlignment - 1);
  }
};

const char* ToString(ContextLayout::Kind kind);
const char* ToString(ContextLayout::ElementType type);

}  // namespace automot::context
