// UTF-8 helpers of the tokenizer.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace automot::model {

// Unicode normalisation form C, by the Unicode version of the reference's normaliser
// (unicode_versions.h). INVALID_ARGUMENT when `text` is not UTF-8.
absl::StatusOr<std::string> NormalizeNfc(std::string_view text);

// `bytes` with each maximal malformed part replaced by U+FFFD; the result is valid UTF-8.
std::string LossyUtf8(std::string_view bytes);

// Bytes at the end of `bytes` (0 to 3) that are not a character yet but may begin one.
size_t UnfinishedTail(std::string_view bytes);

}  // namespace automot::model
