// Byte-level BPE tokenizer as Qwen's, read from a Hugging Face tokenizer.json (spec 2.2).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace automot::model {

inline constexpr size_t kMaxTokenizerInputBytes = size_t{1} << 20;

// Immutable after Load: any number of threads may use one instance.
class Tokenizer {
 public:
  // Reads the file. INVALID_ARGUMENT names the part that is not understood: only NFC, one Split
  // expression, ByteLevel and BPE without dropout, prefixes or byte fallback are.
  static absl::StatusOr<std::unique_ptr<const Tokenizer>> Load(
      const std::string& tokenizer_json_path);
  static absl::StatusOr<std::unique_ptr<const Tokenizer>> Parse(std::string_view json_text);
  ~Tokenizer();
  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;

  // Text to ids. Added tokens ("<|im_start|>") are recognised in the text when `allow_special`;
  // otherwise their characters are ordinary text, which is what text from outside must be.
  // INVALID_ARGUMENT when `text` is not UTF-8 or is longer than kMaxTokenizerInputBytes.
  absl::StatusOr<std::vector<int64_t>> Encode(std::string_view text,
                                              bool allow_special = true) const;

  // Ids to valid UTF-8; bytes that form no character become U+FFFD. Ids without a piece give
  // nothing (a checkpoint's vocabulary may be padded beyond its tokenizer).
  std::string Decode(absl::Span<const int64_t> ids, bool skip_special = false) const;

  // As Decode, before the bytes are made UTF-8: they may begin or end inside a character.
  std::string DecodeBytes(absl::Span<const int64_t> ids, bool skip_special = false) const;

  // Id of an added token by its text, or of an ordinary token by the text it stands for (" stop").
  // Empty if neither.
  std::optional<int64_t> TokenId(std::string_view piece) const;

  bool IsSpecial(int64_t id) const;
  // One more than the largest id.
  int64_t size() const;

 private:
  struct Impl;
  explicit Tokenizer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace automot::model
