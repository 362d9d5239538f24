#include "common/tokenizer/utf8.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>

#include "common/checkpoint/text.h"
#include "common/status/status_macros.h"
#include "common/tokenizer/unicode_versions.h"

namespace automot::model {
namespace {

// Lead bytes with the number of bytes that follow and the allowed range of the first of those
// (Unicode table 3-7).
struct Lead {
  uint8_t first, last;
  int continuation;
  uint8_t low, high;
};
constexpr std::array<Lead, 8> kLeads = {{{0xC2, 0xDF, 1, 0x80, 0xBF},
                                         {0xE0, 0xE0, 2, 0xA0, 0xBF},
                                         {0xE1, 0xEC, 2, 0x80, 0xBF},
                                         {0xED, 0xED, 2, 0x80, 0x9F},
                                         {0xEE, 0xEF, 2, 0x80, 0xBF},
                                         {0xF0, 0xF0, 3, 0x90, 0xBF},
                                         {0xF1, 0xF3, 3, 0x80, 0xBF},
                                         {0xF4, 0xF4, 3, 0x80, 0x8F}}};

struct Part {
  size_t length;
  bool valid;
  bool cut_off = false;  // malformed only because the text ends here
};

// The character, or the maximal malformed part, that `bytes` begins with.
Part NextPart(std::string_view bytes) {
  const auto at = [&](size_t i) { return static_cast<uint8_t>(bytes[i]); };
  if (at(0) < 0x80) return {1, true};
  const auto lead = std::find_if(kLeads.begin(), kLeads.end(), [&](const Lead& l) {
    return at(0) >= l.first && at(0) <= l.last;
  });
  if (lead == kLeads.end()) return {1, false};
  uint8_t low = lead->low, high = lead->high;
  for (size_t i = 1; i <= static_cast<size_t>(lead->continuation); ++i) {
    if (i >= bytes.size()) return {i, false, /*cut_off=*/true};
    if (at(i) < low || at(i) > high) return {i, false};
    low = 0x80, high = 0xBF;
  }
  return {static_cast<size_t>(lead->continuation) + 1, true};
}

absl::Status AppendComposed(std::string_view text, std::string& result) {
  if (text.empty()) return absl::OkStatus();
  utf8proc_uint8_t* mapped = nullptr;
  const utf8proc_ssize_t length =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                   static_cast<utf8proc_ssize_t>(text.size()), &mapped,
                   static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  if (length < 0) return absl::InvalidArgumentError(Concat("text: ", utf8proc_errmsg(length)));
  result.append(reinterpret_cast<const char*>(mapped), static_cast<size_t>(length));
  std::free(mapped);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> NormalizeNfc(std::string_view text) {
  if (std::all_of(text.begin(), text.end(),
                  [](char c) { return static_cast<uint8_t>(c) < 0x80; })) {
    return std::string(text);
  }
  std::string result;
  size_t begin = 0;  // of what is not in `result` yet
  for (size_t at = 0; at < text.size();) {
    utf8proc_int32_t code_point = -1;
    const utf8proc_ssize_t used =
        utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()) + at,
                         static_cast<utf8proc_ssize_t>(text.size() - at), &code_point);
    if (used < 0) return absl::InvalidArgumentError(Concat("text: ", utf8proc_errmsg(used)));
    if (IsLaterMark(code_point)) {
      AUTOMOT_RETURN_IF_ERROR(AppendComposed(text.substr(begin, at - begin), result));
      result += text.substr(at, static_cast<size_t>(used));
      begin = at + static_cast<size_t>(used);
    }
    at += static_cast<size_t>(used);
  }
  AUTOMOT_RETURN_IF_ERROR(AppendComposed(text.substr(begin), result));
  return result;
}

std::string LossyUtf8(std::string_view bytes) {
  std::string result;
  result.reserve(bytes.size());
  while (!bytes.empty()) {
    const Part part = NextPart(bytes);
    result += part.valid ? bytes.substr(0, part.length) : std::string_view("\xEF\xBF\xBD");
    bytes.remove_prefix(part.length);
  }
  return result;
}

size_t UnfinishedTail(std::string_view bytes) {
  constexpr size_t kLongest = 3;
  for (size_t tail = std::min(kLongest, bytes.size()); tail > 0; --tail) {
    const Part part = NextPart(bytes.substr(bytes.size() - tail));
    if (part.cut_off && part.length == tail) return tail;
  }
  return 0;
}

}  // namespace automot::model
