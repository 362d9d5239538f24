#include "common/checkpoint/content_hash.h"

#include <xxhash.h>

#include <algorithm>

#include "absl/strings/escaping.h"

namespace automot::model {
namespace {

std::string ToHex(XXH128_hash_t hash) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, hash);
  return absl::BytesToHexString(
      {reinterpret_cast<const char*>(canonical.digest), sizeof(canonical.digest)});
}

}  // namespace

ContentHash::ContentHash() : state_(XXH3_createState()) { XXH3_128bits_reset(state_); }
ContentHash::~ContentHash() { XXH3_freeState(state_); }

void ContentHash::Update(absl::Span<const std::byte> piece) {
  XXH3_128bits_update(state_, piece.data(), piece.size());
}

std::string ContentHash::Hex() const { return ToHex(XXH3_128bits_digest(state_)); }

std::string HashHex(absl::Span<const std::byte> bytes) {
  return ToHex(XXH3_128bits(bytes.data(), bytes.size()));
}

std::string HashHex(std::string_view text) { return ToHex(XXH3_128bits(text.data(), text.size())); }

bool IsHashHex(std::string_view text) {
  return text.size() == 2 * sizeof(XXH128_canonical_t) &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

}  // namespace automot::model
