#include "common/context/chunk_hash.h"

#define XXH_STATIC_LINKING_ONLY  // the streaming state on the stack
#include <xxhash.h>
#ifdef __x86_64__
#include <xxh_x86dispatch.h>  // the same functions, chosen by processor
#endif

#include <algorithm>
#include <cstring>

namespace automot::context {
namespace {

constexpr std::size_t kBlockBytes = std::size_t{32} << 10;

}  // namespace

uint64_t HashChunk(std::span<const std::byte> bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}

uint64_t CopyAndHashChunk(std::span<const std::span<const std::byte>> pieces, std::byte* to) {
  XXH3_state_t state;
  XXH3_64bits_reset(&state);
  for (std::span<const std::byte> piece : pieces) {
    while (!piece.empty()) {
      const std::size_t bytes = std::min(piece.size(), kBlockBytes);
      std::memcpy(to, piece.data(), bytes);
      XXH3_64bits_update(&state, to, bytes);
      to += bytes;
      piece = piece.subspan(bytes);
    }
  }
  return XXH3_64bits_digest(&state);
}

}  // namespace automot::context
