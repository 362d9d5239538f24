// XXH3-64 of a chunk, on the widest vectors that the processor has. Pure functions, any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace automot::context {

uint64_t HashChunk(std::span<const std::byte> bytes);

// Copies the pieces one after the other to `to`, and returns the hash of the copy. Block by block,
// so that what is hashed is still in the cache of the core that copied it.
uint64_t CopyAndHashChunk(std::span<const std::span<const std::byte>> pieces, std::byte* to);

}  // namespace automot::context
