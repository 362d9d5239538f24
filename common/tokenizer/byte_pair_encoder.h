// Byte-pair encoding over raw bytes: vocabulary, merge ranks, and the merging of one word.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace automot::model {

inline constexpr int64_t kMaxTokenId = int64_t{1} << 20;

// Byte-level alphabet of GPT-2: each byte as one printable character. Empty for text outside the
// alphabet.
std::optional<std::string> BytesOfAlphabet(std::string_view alphabet_text);
std::string AlphabetOfBytes(std::string_view bytes);

// Immutable once built: any number of threads may encode.
class BytePairEncoder {
 public:
  // `bytes` is the raw text the token stands for. INVALID_ARGUMENT for a repeated piece or id, or
  // an id out of range.
  absl::Status AddPiece(std::string bytes, int64_t id);
  // Rank = order of the calls. INVALID_ARGUMENT unless both parts and their concatenation are
  // pieces.
  absl::Status AddMerge(std::string_view left, std::string_view right);
  // INVALID_ARGUMENT unless each single byte is a piece: then any word can be encoded.
  absl::Status Finish();

  // Appends the ids of one word. O(n log n) in its length.
  void EncodeWord(std::string_view word, std::vector<int64_t>& ids) const;
  // Empty for an id without a piece.
  std::string_view Piece(int64_t id) const;
  std::optional<int64_t> Id(std::string_view bytes) const;
  int64_t size() const { return static_cast<int64_t>(pieces_.size()); }

 private:
  struct Merge {
    uint32_t rank;
    int64_t id;
  };
  const Merge* FindMerge(int64_t left, int64_t right) const;

  std::unordered_map<std::string, int64_t> ids_;
  std::vector<std::string> pieces_;  // by id; empty where there is none
  std::unordered_map<uint64_t, Merge> merges_;
  std::array<int64_t, 256> byte_ids_{};
};

}  // namespace automot::model
