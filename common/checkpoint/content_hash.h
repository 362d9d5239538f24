// XXH3-128 of bytes, whole or piece by piece: how revisions and manifests name a content. Detects
// differences, not forgery.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "absl/types/span.h"

struct XXH3_state_s;

namespace automot::model {

// Not thread-safe.
class ContentHash {
 public:
  ContentHash();
  ~ContentHash();
  ContentHash(const ContentHash&) = delete;
  ContentHash& operator=(const ContentHash&) = delete;

  void Update(absl::Span<const std::byte> piece);
  // 32 lower-case hex digits, of all pieces so far; equal to HashHex of their concatenation.
  std::string Hex() const;

 private:
  XXH3_state_s* const state_;
};

std::string HashHex(absl::Span<const std::byte> bytes);
std::string HashHex(std::string_view text);

// True for what Hex() can return.
bool IsHashHex(std::string_view text);

}  // namespace automot::model
