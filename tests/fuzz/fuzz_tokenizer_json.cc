// Input: a tokenizer.json and, after a zero byte, a text to encode. The document is refused, or
// text becomes ids that the vocabulary has, which become valid UTF-8.
#include <string_view>
#include <vector>

#include "common/tokenizer/tokenizer.h"
#include "common/tokenizer/utf8.h"
#include "tests/fuzz/byte_source.h"
#include "tests/fuzz/fuzz_check.h"

namespace automot::model {
namespace {

constexpr size_t kMaxText = 256;

void CheckText(const Tokenizer& tokenizer, std::string_view text, bool allow_special) {
  using fuzz::Check;
  const auto ids = tokenizer.Encode(text, allow_special);
  if (!ids.ok()) return;
  for (const int64_t id : *ids)
    Check(id >= 0 && id < tokenizer.size(), "ids are in the vocabulary");
  for (const bool skip : {false, true}) {
    const std::string decoded = tokenizer.Decode(*ids, skip);
    Check(LossyUtf8(decoded) == decoded, "decoded text is UTF-8");
  }
}

}  // namespace
}  // namespace automot::model

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using automot::model::Tokenizer;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::string_view document = automot::fuzz::CutBefore(text, '\0');
  const auto tokenizer = Tokenizer::Parse(document);
  if (!tokenizer.ok()) return 0;
  text = text.substr(0, automot::model::kMaxText);
  for (const std::string_view sample : {text, std::string_view("Drive on, <|im_end|> 12.5 m\n")}) {
    automot::model::CheckText(**tokenizer, sample, true);
    automot::model::CheckText(**tokenizer, sample, false);
  }
  for (const int64_t id : {int64_t{-1}, (*tokenizer)->size(), int64_t{1} << 40}) {
    automot::fuzz::Check((*tokenizer)->Decode({id}).empty(), "no piece outside the vocabulary");
  }
  return 0;
}
