// The snapshot that the lanes carry here, and the two numbers that its bytes hold: which version it
// is, everywhere, so that no part of it equals the one before, and when its last byte was computed.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "common/context/context_layout.h"
#include "common/context/kv_buffer.h"

namespace automot::benchmarks {

// 147.5 MB: the understanding expert of the published geometry, everything that it wrote, for a
// prefix of 1,000 tokens. One layer is 4.1 MB.
inline constexpr context::ContextLayout kFullPublished{
    .kind = context::ContextLayout::Kind::kFull,
    .element_type = context::ContextLayout::ElementType::kBFloat16,
    .layers = 36,
    .tokens = 1000,
    .kv_heads = 8,
    .k_head_dim = 128,
    .v_head_dim = 128};

// The same clock in every process of a machine.
inline int64_t NowNs() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// Bytes that no compression or hash takes a short cut through.
inline void FillWithNoise(std::span<std::byte> bytes, uint64_t seed) {
  uint64_t x = seed * 0x9e3779b97f4a7c15U + 1;
  for (std::size_t i = 0; i + sizeof x <= bytes.size(); i += sizeof x) {
    x ^= x << 13U;
    x ^= x >> 7U;
    x ^= x << 17U;
    std::memcpy(bytes.data() + i, &x, sizeof x);
  }
}

// Writes `version` once per 64 KiB, the smallest chunk there is.
inline void StampVersion(std::span<std::byte> tensor, uint64_t version) {
  for (std::size_t i = 0; i + sizeof version <= tensor.size(); i += std::size_t{64} << 10) {
    std::memcpy(tensor.data() + i, &version, sizeof version);
  }
}

// The last bytes of a snapshot's last tensor.
inline void StampTime(std::span<std::byte> bytes, int64_t time_ns) {
  std::memcpy(bytes.data() + bytes.size() - sizeof time_ns, &time_ns, sizeof time_ns);
}
inline int64_t TimeOf(std::span<const std::byte> bytes) {
  int64_t time_ns = 0;
  std::memcpy(&time_ns, bytes.data() + bytes.size() - sizeof time_ns, sizeof time_ns);
  return time_ns;
}
inline int64_t TimeOf(const context::KvBuffer& keys_values) {
  return TimeOf(keys_values.Tensor(keys_values.layout().layers - 1, context::TensorKind::kValue));
}

}  // namespace automot::benchmarks
