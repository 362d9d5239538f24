// The pre-tokenizer's split expression, run by PCRE2 with Unicode properties.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace automot::model {

// Immutable: any number of threads may split.
class SplitRegex {
 public:
  // INVALID_ARGUMENT when the expression does not compile or can match the empty string only.
  static absl::StatusOr<SplitRegex> Compile(const std::string& pattern);

  // Cuts valid UTF-8 into matches and the gaps between them, in order ("Isolated"); the views are
  // into `text`. INVALID_ARGUMENT when the matcher gives up (its work is bounded).
  absl::StatusOr<std::vector<std::string_view>> Split(std::string_view text) const;

 private:
  explicit SplitRegex(void* code);
  std::shared_ptr<void> code_;
};

}  // namespace automot::model
