#include "common/model/decision_decoder.h"

#include <algorithm>
#include <string_view>

#include "absl/strings/str_replace.h"

namespace automot::model {
namespace {

bool IsMarker(int64_t id, const TokenIds& tokens) {
  return id == tokens.im_start || id == tokens.im_end;
}

// Multiplies each token's probability into the part that its text belongs to.
std::vector<float> PartProbabilities(absl::Span<const int64_t> span,
                                     absl::Span<const float> probabilities, const TokenIds& tokens,
                                     const Tokenizer& tokenizer) {
  std::vector<float> parts = {0.0F};
  bool empty = true;
  for (size_t i = 0; i < span.size(); ++i) {
    if (IsMarker(span[i], tokens)) continue;
    const std::string piece = tokenizer.Decode(span.subspan(i, 1));
    const auto commas = static_cast<size_t>(std::count(piece.begin(), piece.end(), ','));
    if (commas > 0) {
      parts.resize(parts.size() + commas, 0.0F);
      empty = true;
      continue;
    }
    const float probability = probabilities.empty() ? 0.0F : probabilities[i];
    parts.back() = empty ? probability : parts.back() * probability;
    empty = false;
  }
  return parts;
}

}  // namespace

absl::Span<const int64_t> DecisionSpan(absl::Span<const int64_t> ids, const TokenIds& tokens) {
  const auto* const begin = std::find(ids.begin(), ids.end(), tokens.im_start);
  if (begin == ids.end()) return ids;
  const auto* const stop =
      std::find_if(begin + 1, ids.end(), [&](int64_t id) { return IsMarker(id, tokens); });
  const bool closed = stop != ids.end() && *stop == tokens.im_end;
  const auto length = static_cast<size_t>(stop - begin) + (closed ? 1 : 0);
  return ids.subspan(static_cast<size_t>(begin - ids.begin()), length);
}

DecisionText DecodeDecision(absl::Span<const int64_t> ids, absl::Span<const float> probabilities,
                            const TokenIds& tokens, const Tokenizer& tokenizer) {
  const absl::Span<const int64_t> span = DecisionSpan(ids, tokens);
  const auto offset = static_cast<size_t>(span.data() - ids.data());
  DecisionText decoded;
  decoded.raw = tokenizer.Decode(span);
  decoded.text = absl::StrReplaceAll(decoded.raw, {{tokenizer.Decode({&tokens.im_start, 1}), ""},
                                                   {tokenizer.Decode({&tokens.im_end, 1}), ""}});
  decoded.part_probabilities = PartProbabilities(
      span, probabilities.empty() ? probabilities : probabilities.subspan(offset, span.size()),
      tokens, tokenizer);
  return decoded;
}

}  // namespace automot::model
