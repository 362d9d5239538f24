#include "common/context/chunk_hash.h"

#include <xxhash.h>  // the reference, which is not chosen by processor

#include <algorithm>
#include <array>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace automot::context {
namespace {

std::vector<std::byte> Noise(std::size_t bytes) {
  std::vector<std::byte> noise(bytes);
  uint32_t x = 1;
  for (std::byte& byte : noise)
    byte = static_cast<std::byte>((x = x * 1664525U + 1013904223U) >> 24U);
  return noise;
}

// Lengths around every internal boundary of the hash, and chunks.
constexpr std::array<std::size_t, 14> kLengths = {0,   1,   16,   17,    128,   129,     240,
                                                  241, 256, 1024, 32767, 32769, 1 << 20, 983040};

TEST(ChunkHash, IsXxh3WhateverTheProcessor) {
  for (const std::size_t length : kLengths) {
    const std::vector<std::byte> bytes = Noise(length);
    EXPECT_EQ(HashChunk(bytes), XXH3_64bits(bytes.data(), bytes.size())) << length;
  }
  EXPECT_EQ(HashChunk({}), 0x2d06800538d394c2U);  // of the specification
}

TEST(ChunkHash, ACopyHasTheHashAndTheBytesHoweverItComes) {
  for (const std::size_t length : kLengths) {
    const std::vector<std::byte> bytes = Noise(length);
    for (const std::size_t piece : {std::size_t{7}, std::size_t{4096}, std::size_t{100'000}}) {
      if (length / piece > 5000) continue;
      std::vector<std::span<const std::byte>> pieces;
      for (std::size_t at = 0; at < length; at += piece) {
        pieces.push_back(std::span(bytes).subspan(at, std::min(piece, length - at)));
      }
      std::vector<std::byte> copy(length + 1, std::byte{0x5a});
      EXPECT_EQ(CopyAndHashChunk(pieces, copy.data()), HashChunk(bytes)) << length << ", " << piece;
      EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), copy.begin()));
      EXPECT_EQ(copy.back(), std::byte{0x5a}) << "wrote beyond the chunk";
    }
  }
}

TEST(ChunkHash, EveryBitCounts) {
  std::vector<std::byte> bytes = Noise(70'000);
  const uint64_t whole = HashChunk(bytes);
  for (std::size_t at = 0; at < bytes.size(); at += 997) {
    bytes[at] ^= std::byte{0x10};
    EXPECT_NE(HashChunk(bytes), whole) << at;
    bytes[at] ^= std::byte{0x10};
  }
}

}  // namespace
}  // namespace automot::context
