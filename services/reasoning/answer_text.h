// Turns the tokens of an answer into pieces of valid UTF-8: a character may take several tokens.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/match.h"
#include "common/tokenizer/tokenizer.h"

namespace automot::reasoning {

// Not thread-safe.
class AnswerText {
 public:
  // `on_text` returns false to stop. Both outlive the object.
  AnswerText(const model::Tokenizer& tokenizer,
             const std::function<bool(std::string_view)>& on_text)
      : tokenizer_(tokenizer), on_text_(on_text) {}

  // False where the receiver wants no more.
  bool Take(int64_t id) {
    waiting_.push_back(id);
    const std::string text = tokenizer_.Decode(waiting_, /*skip_special=*/true);
    // A replacement character at the end may still become a character.
    if (absl::EndsWith(text, kReplacement) && waiting_.size() < kLongestCharacter) return true;
    waiting_.clear();
    return text.empty() || on_text_(text);
  }
  void Flush() {
    const std::string text = tokenizer_.Decode(waiting_, /*skip_special=*/true);
    waiting_.clear();
    if (!text.empty()) on_text_(text);
  }

 private:
  static constexpr char kReplacement[] = "\xEF\xBF\xBD";
  static constexpr std::size_t kLongestCharacter = 4;  // bytes, so at most as many tokens

  const model::Tokenizer& tokenizer_;
  const std::function<bool(std::string_view)>& on_text_;
  std::vector<int64_t> waiting_;
};

}  // namespace automot::reasoning
