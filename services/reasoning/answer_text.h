// Hands the text of an answer to its receiver while the tokens come.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "common/tokenizer/text_stream.h"

namespace automot::reasoning {

// Not thread-safe.
class AnswerText {
 public:
  // `on_text` returns false to stop. Both outlive the object.
  AnswerText(const model::Tokenizer& tokenizer,
             const std::function<bool(std::string_view)>& on_text)
      : stream_(tokenizer, /*skip_special=*/true), on_text_(on_text) {}

  // False where the receiver wants no more.
  bool Take(int64_t id) {
    const std::string text = stream_.Add(id);
    return text.empty() || on_text_(text);
  }
  void Flush() {
    const std::string text = stream_.Finish();
    if (!text.empty()) on_text_(text);
  }

 private:
  model::TextStream stream_;
  const std::function<bool(std::string_view)>& on_text_;
};

}  // namespace automot::reasoning
