// Text of tokens that come one by one. A character may take several tokens, and one token may end
// one character and begin the next.
#pragma once

#include <cstdint>
#include <string>

#include "common/tokenizer/tokenizer.h"

namespace automot::model {

// Not thread-safe. The tokenizer outlives it.
class TextStream {
 public:
  explicit TextStream(const Tokenizer& tokenizer, bool skip_special = false)
      : tokenizer_(tokenizer), skip_special_(skip_special) {}

  // What has become certain: valid UTF-8, perhaps empty. Holds back at most 3 bytes. All results in
  // order, with Finish, are what Tokenizer::Decode gives for all tokens at once.
  std::string Add(int64_t id);
  // What was held back; the next Add begins a new text.
  std::string Finish();

 private:
  const Tokenizer& tokenizer_;
  bool skip_special_;
  std::string waiting_;  // bytes of a character that is not complete
};

}  // namespace automot::model
