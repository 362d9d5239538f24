// The tensors that automot-infer reads: one table for reading, help and messages.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/types/span.h"
#include "common/checkpoint/safetensors.h"

namespace automot::infer {

// Whether a tensor has one entry per observation (or context). The axis may be absent where that is
// one; a tensor without it may carry one of length 1.
enum class BatchAxis : uint8_t { kNone, kFirst };

struct InputName {
  std::string_view name;
  model::DType dtype;
  std::size_t rank;  // batch axis not counted
  BatchAxis batch;
  std::string_view axes;  // all of them
  std::string_view meaning;
};

absl::Span<const InputName> InputNames();
// Null for a name that is no input.
const InputName* FindInputName(std::string_view name);
// One line per input, for --help.
std::string DescribeInputs();

}  // namespace automot::infer
