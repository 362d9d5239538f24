#include "common/model/lexicon.h"

#include <set>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"

namespace automot::model {

Lexicon MakeLexicon(const Tokenizer& tokenizer, const TokenIds& tokens,
                    absl::Span<const std::string> words) {
  std::vector<std::string> pieces = {","};
  for (const std::string& word : words) pieces.push_back(absl::StrCat(" ", word));
  std::set<int64_t> ids = {tokens.im_start, tokens.im_end};
  for (const std::string& piece : pieces) {
    const absl::StatusOr<std::vector<int64_t>> encoded =
        tokenizer.Encode(piece, /*allow_special=*/false);
    if (!encoded.ok()) return {{}, std::string(encoded.status().message())};
    if (encoded->size() != 1) {
      return {{}, absl::StrCat("\"", piece, "\" is ", encoded->size(), " tokens, not one")};
    }
    ids.insert(encoded->front());
  }
  return {{ids.begin(), ids.end()}, ""};
}

}  // namespace automot::model
