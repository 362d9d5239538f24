// Which bytes of a snapshot its consumer holds already: the beginning of each tensor, as far as it
// equals an earlier snapshot's.
//
// Rows are tokens, and a token's keys and values depend on the tokens before it alone (causal
// attention), so two snapshots share the rows before the first token that differs and none after.
// Pure functions, any thread.
#pragma once

#include <cstddef>

#include "common/context/context_layout.h"
#include "common/context/kv_buffer.h"

namespace automot::context {

// Below this a reference costs more than the bytes.
inline constexpr std::size_t kMinReuseBytes = std::size_t{4} << 10;

// True where bytes of one can stand for bytes of the other: every layout field but the number of
// tokens is the same.
bool SameRows(const ContextLayout& a, const ContextLayout& b);

// Bytes of whole rows at the beginning of the tensor that `base` and `next` share, or the whole
// tensor where it is the same; 0 below kMinReuseBytes, at most kMaxChunkBytes. Requires
// SameRows(base.layout(), next.layout()) and a layer of both.
std::size_t ReusableBytes(const KvBuffer& base, const KvBuffer& next, int layer, TensorKind tensor);

}  // namespace automot::context
