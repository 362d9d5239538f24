// Hands the text of an answer to its receiver while the tokens come, and ends it at a stop string.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/tokenizer/text_stream.h"
#include "services/reasoning/stop_strings.h"

namespace automot::reasoning {

// Not thread-safe.
class AnswerText {
 public:
  // `on_text` returns false to stop. Both outlive the object.
  AnswerText(const model::Tokenizer& tokenizer, std::vector<std::string> stops,
             const std::function<bool(std::string_view)>& on_text)
      : stream_(tokenizer, /*skip_special=*/true), stops_(std::move(stops)), on_text_(on_text) {}

  // False where the receiver wants no more, or a stop string came.
  bool Take(int64_t id) { return Emit(stops_.Add(stream_.Add(id))) && !stops_.found(); }
  // Hands over what was held back.
  void Flush() {
    if (Emit(stops_.Add(stream_.Finish()))) Emit(stops_.Finish());
  }
  bool stopped() const { return stops_.found(); }

 private:
  bool Emit(const std::string& text) { return text.empty() || on_text_(text); }

  model::TextStream stream_;
  StopStrings stops_;
  const std::function<bool(std::string_view)>& on_text_;
};

}  // namespace automot::reasoning
