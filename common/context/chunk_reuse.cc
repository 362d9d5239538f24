#include "common/context/chunk_reuse.h"

#include <algorithm>
#include <cstring>

#include "common/context/snapshot_manifest.h"

namespace automot::context {
namespace {

constexpr std::size_t kCompareBytes = std::size_t{4} << 10;

// Length of the common beginning: whole blocks first, so that what differs at once costs one block.
std::size_t CommonBytes(std::span<const std::byte> a, std::span<const std::byte> b) {
  const std::size_t limit = std::min(a.size(), b.size());
  std::size_t same = 0;
  while (limit - same >= kCompareBytes &&
         std::memcmp(a.data() + same, b.data() + same, kCompareBytes) == 0) {
    same += kCompareBytes;
  }
  const std::size_t end = std::min(limit, same + kCompareBytes);
  while (same < end && a[same] == b[same]) ++same;
  return same;
}

}  // namespace

bool SameRows(const ContextLayout& a, const ContextLayout& b) {
  ContextLayout other = b;
  other.tokens = a.tokens;
  return a == other;
}

std::size_t ReusableBytes(const KvBuffer& base, const KvBuffer& next, int layer,
                          TensorKind tensor) {
  const std::size_t same = CommonBytes(base.Tensor(layer, tensor), next.Tensor(layer, tensor));
  const bool whole = base.layout() == next.layout() && same == next.layout().tensor_bytes(tensor) &&
                     same <= kMaxChunkBytes;
  const std::size_t row = next.layout().row_bytes(tensor);
  // Scales and padding follow the rows of a quantised tensor: alone they are not worth a place.
  const auto tokens =
      static_cast<std::size_t>(std::min(base.layout().tokens, next.layout().tokens));
  const std::size_t rows = std::min({same, tokens * row, kMaxChunkBytes}) / row * row;
  const std::size_t bytes = whole ? same : rows;
  return bytes < kMinReuseBytes ? 0 : bytes;
}

}  // namespace automot::context
