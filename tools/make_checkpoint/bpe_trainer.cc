#include "tools/make_checkpoint/bpe_trainer.h"

#include <cstdint>
#include <map>

#include "common/status/status_macros.h"
#include "common/tokenizer/byte_pair_encoder.h"
#include "common/tokenizer/split_regex.h"

namespace automot::model {
namespace {

struct Word {
  std::vector<int> parts;  // ids
  int64_t count = 0;
};
using Pair = std::pair<int, int>;

// Printable bytes first, as published vocabularies have them.
std::vector<std::string> BytePieces() {
  std::vector<std::string> pieces, others;
  for (int byte = 0; byte < 256; ++byte) {
    const std::string piece(1, static_cast<char>(byte));
    (AlphabetOfBytes(piece).size() == 1 ? pieces : others).push_back(piece);
  }
  pieces.insert(pieces.end(), others.begin(), others.end());
  return pieces;
}

std::vector<Word> CountWords(const std::vector<std::string_view>& found,
                             const std::vector<std::string>& pieces) {
  std::map<std::string, int> byte_ids;
  for (size_t i = 0; i < pieces.size(); ++i) byte_ids[pieces[i]] = static_cast<int>(i);
  std::map<std::string_view, int64_t> counts;
  for (const std::string_view word : found) ++counts[word];
  std::vector<Word> words;
  for (const auto& [text, count] : counts) {
    Word word{.count = count};
    for (const char byte : text) word.parts.push_back(byte_ids.at(std::string(1, byte)));
    words.push_back(std::move(word));
  }
  return words;
}

// The most frequent pair; among equals the first by bytes. {-1, -1} when every word is one piece.
Pair BestPair(const std::vector<Word>& words, const std::vector<std::string>& pieces) {
  std::map<Pair, int64_t> counts;
  for (const Word& word : words) {
    for (size_t i = 0; i + 1 < word.parts.size(); ++i)
      counts[{word.parts[i], word.parts[i + 1]}] += word.count;
  }
  Pair best{-1, -1};
  int64_t most = 0;
  for (const auto& [pair, count] : counts) {
    const bool earlier = count == most && std::tie(pieces[pair.first], pieces[pair.second]) <
                                              std::tie(pieces[best.first], pieces[best.second]);
    if (count > most || earlier) best = pair, most = count;
  }
  return best;
}

void Apply(Pair pair, int merged, Word& word) {
  size_t out = 0;
  for (size_t i = 0; i < word.parts.size(); ++i, ++out) {
    const bool hit = i + 1 < word.parts.size() && word.parts[i] == pair.first &&
                     word.parts[i + 1] == pair.second;
    word.parts[out] = hit ? merged : word.parts[i];
    i += hit ? 1 : 0;
  }
  word.parts.resize(out);
}

}  // namespace

absl::StatusOr<TrainedBpe> TrainBpe(std::string_view corpus, const std::string& split_pattern,
                                    size_t max_pieces) {
  AUTOMOT_ASSIGN_OR_RETURN(const SplitRegex regex, SplitRegex::Compile(split_pattern));
  AUTOMOT_ASSIGN_OR_RETURN(const auto found, regex.Split(corpus));
  TrainedBpe bpe{.pieces = BytePieces()};
  std::vector<Word> words = CountWords(found, bpe.pieces);
  std::map<std::string, int> ids;
  while (bpe.pieces.size() < max_pieces) {
    const Pair pair = BestPair(words, bpe.pieces);
    if (pair.first < 0) break;
    const std::string left = bpe.pieces[pair.first], right = bpe.pieces[pair.second];
    // Two ways to the same bytes share one piece.
    const auto [it, is_new] = ids.emplace(left + right, static_cast<int>(bpe.pieces.size()));
    if (is_new) bpe.pieces.push_back(left + right);
    bpe.merges.emplace_back(left, right);
    for (Word& word : words) Apply(pair, it->second, word);
  }
  return bpe;
}

}  // namespace automot::model
