// Parser of a safetensors header, apart from files so that hostile text can be fed to it directly.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/checkpoint/safetensors.h"

namespace automot::model {

inline constexpr uint64_t kMaxHeaderBytes = 100'000'000;
inline constexpr size_t kMaxTensors = 1'000'000;
inline constexpr size_t kMaxRank = 8;
inline constexpr size_t kMaxNameBytes = 1024;

struct HeaderEntry {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;
  uint64_t begin = 0;  // offsets into the data section
  uint64_t end = 0;
};

struct SafetensorsHeader {
  std::vector<HeaderEntry>
      entries;  // by rising offset; together they cover the data section exactly
  std::map<std::string, std::string> metadata;
};

// `data_bytes` is the length of what follows the header. INVALID_ARGUMENT names tensor, value and
// limit.
absl::StatusOr<SafetensorsHeader> ParseSafetensorsHeader(std::string_view json,
                                                         uint64_t data_bytes);

// Elements of `shape` times the element size; INVALID_ARGUMENT when a dimension is negative or the
// product overflows.
absl::StatusOr<uint64_t> TensorBytes(DType dtype, absl::Span<const int64_t> shape);

}  // namespace automot::model
