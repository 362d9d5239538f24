#include "common/tokenizer/tokenizer.h"

#include <algorithm>
#include <map>
#include <set>

#include "common/checkpoint/json_file.h"
#include "common/checkpoint/text.h"
#include "common/status/status_macros.h"
#include "common/tokenizer/byte_pair_encoder.h"
#include "common/tokenizer/split_regex.h"
#include "common/tokenizer/utf8.h"

namespace automot::model {
namespace {

constexpr size_t kMaxFileBytes = size_t{64} << 20;
constexpr size_t kMaxAddedTokens = 4096;

using Json = nlohmann::json;

absl::Status Unsupported(std::string_view what) {
  return absl::InvalidArgumentError(Concat("tokenizer.json: ", what));
}

absl::Status CheckNormalizer(const Json& document, bool& nfc) {
  const auto it = document.find("normalizer");
  nfc = it != document.end() && !it->is_null();
  if (nfc && (!it->is_object() || it->value("type", Json()) != "NFC"))
    return Unsupported("normalizer: only NFC is supported");
  return absl::OkStatus();
}

absl::Status CheckByteLevel(const Json& level) {
  JsonFields f(level, "tokenizer.json: ByteLevel");
  f.OnlyBool("add_prefix_space", false);
  f.OnlyBool("use_regex", false);
  return f.status();
}

// The pre-tokenizer must be Sequence[Split(Regex, Isolated), ByteLevel]. Gives the expression.
absl::StatusOr<std::string> ReadSplitPattern(const Json& document) {
  const auto bad =
      Unsupported("pre_tokenizer: only a Sequence of one Split and one ByteLevel is supported");
  const Json* list = nullptr;
  if (const auto it = document.find("pre_tokenizer"); it != document.end() && it->is_object()) {
    const auto inner = it->find("pretokenizers");
    if (inner != it->end() && inner->is_array() && inner->size() == 2) list = &*inner;
  }
  if (list == nullptr || !(*list)[0].is_object() || !(*list)[1].is_object()) return bad;
  if ((*list)[0].value("type", Json()) != "Split" ||
      (*list)[1].value("type", Json()) != "ByteLevel")
    return bad;
  AUTOMOT_RETURN_IF_ERROR(CheckByteLevel((*list)[1]));
  JsonFields split((*list)[0], "tokenizer.json: Split");
  split.OnlyText("behavior", "Isolated");
  split.OnlyBool("invert", false);
  const std::string pattern = split.Text("pattern.Regex");
  AUTOMOT_RETURN_IF_ERROR(split.status());
  return pattern;
}

absl::Status CheckModelOptions(const Json& model) {
  JsonFields f(model, "tokenizer.json: model");
  f.OnlyText("type", "BPE");
  f.OnlyText("continuing_subword_prefix", "");
  f.OnlyText("end_of_word_suffix", "");
  f.OnlyBool("fuse_unk", false);
  f.OnlyBool("byte_fallback", false);
  f.OnlyBool("ignore_merges", false);
  if (f.DoubleOr("dropout", 0, 0, 1) != 0) f.Double("dropout", 0, 0);
  return f.status();
}

absl::Status ReadVocabulary(const Json& model, BytePairEncoder& encoder) {
  const auto vocab = model.find("vocab");
  if (vocab == model.end() || !vocab->is_object())
    return Unsupported("model.vocab is missing or not an object");
  for (const auto& [piece, id] : vocab->items()) {
    const auto bytes = BytesOfAlphabet(piece);
    if (!bytes) return Unsupported(Concat("model.vocab: \"", piece, "\" is not byte-level text"));
    if (!id.is_number_unsigned())
      return Unsupported(Concat("model.vocab: \"", piece, "\" has no whole-number id"));
    AUTOMOT_RETURN_IF_ERROR(encoder.AddPiece(
        *bytes, static_cast<int64_t>(std::min<uint64_t>(id.get<uint64_t>(), kMaxTokenId))));
  }
  return encoder.Finish();
}

// Either "a b" or ["a", "b"].
absl::StatusOr<std::pair<std::string, std::string>> ReadMerge(const Json& merge, size_t index) {
  std::string left, right;
  if (merge.is_string()) {
    const std::string text = merge.get<std::string>();
    const size_t space = text.find(' ');
    if (space != std::string::npos) left = text.substr(0, space), right = text.substr(space + 1);
  } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() &&
             merge[1].is_string()) {
    left = merge[0].get<std::string>(), right = merge[1].get<std::string>();
  }
  auto left_bytes = BytesOfAlphabet(left), right_bytes = BytesOfAlphabet(right);
  if (left.empty() || right.empty() || !left_bytes || !right_bytes) {
    return Unsupported(
        Concat("model.merges: entry ", index, " is not a pair of byte-level pieces"));
  }
  return std::pair(*std::move(left_bytes), *std::move(right_bytes));
}

absl::Status ReadMerges(const Json& model, BytePairEncoder& encoder) {
  const auto merges = model.find("merges");
  if (merges == model.end() || !merges->is_array())
    return Unsupported("model.merges is missing or not a list");
  for (size_t i = 0; i < merges->size(); ++i) {
    AUTOMOT_ASSIGN_OR_RETURN(const auto pair, ReadMerge((*merges)[i], i));
    AUTOMOT_RETURN_IF_ERROR(encoder.AddMerge(pair.first, pair.second));
  }
  return absl::OkStatus();
}

}  // namespace

struct Tokenizer::Impl {
  struct Added {
    std::string content;
    int64_t id;
    bool special;
  };

  bool nfc = false;
  BytePairEncoder encoder;
  std::optional<SplitRegex> split;
  std::vector<Added> added;  // longest first
  std::map<int64_t, const Added*> added_by_id;

  absl::Status ReadAdded(const Json& document);
  // The added token that `text` begins with, or null.
  const Added* AddedAt(std::string_view text) const;
  absl::Status EncodePlain(std::string_view text, std::vector<int64_t>& ids) const;
};

absl::Status Tokenizer::Impl::ReadAdded(const Json& document) {
  const auto list = document.find("added_tokens");
  if (list == document.end() || list->is_null()) return absl::OkStatus();
  if (!list->is_array() || list->size() > kMaxAddedTokens) {
    return Unsupported(Concat("added_tokens is not a list of at most ", kMaxAddedTokens));
  }
  for (const Json& token : *list) {
    JsonFields f(token, "tokenizer.json: added_tokens");
    for (const char* flag : {"single_word", "lstrip", "rstrip"}) f.OnlyBool(flag, false);
    added.push_back(
        {f.Text("content"), f.Int("id", 0, kMaxTokenId - 1), f.BoolOr("special", false)});
    AUTOMOT_RETURN_IF_ERROR(f.status());
    if (added.back().content.empty()) return Unsupported("added_tokens: empty content");
  }
  std::stable_sort(added.begin(), added.end(), [](const Added& a, const Added& b) {
    return a.content.size() > b.content.size();
  });
  for (const Added& token : added) {
    if (!added_by_id.emplace(token.id, &token).second) {
      return Unsupported(Concat("added_tokens: id ", token.id, " appears twice"));
    }
  }
  return absl::OkStatus();
}

const Tokenizer::Impl::Added* Tokenizer::Impl::AddedAt(std::string_view text) const {
  for (const Added& token : added) {
    if (text.starts_with(token.content)) return &token;
  }
  return nullptr;
}

absl::Status Tokenizer::Impl::EncodePlain(std::string_view text, std::vector<int64_t>& ids) const {
  if (text.empty()) return absl::OkStatus();
  std::string normalized(text);
  if (nfc) {
    AUTOMOT_ASSIGN_OR_RETURN(normalized, NormalizeNfc(text));
  }
  AUTOMOT_ASSIGN_OR_RETURN(const auto words, split->Split(normalized));
  for (const std::string_view word : words) encoder.EncodeWord(word, ids);
  return absl::OkStatus();
}

Tokenizer::Tokenizer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Tokenizer::~Tokenizer() = default;

absl::StatusOr<std::unique_ptr<const Tokenizer>> Tokenizer::Load(
    const std::string& tokenizer_json_path) {
  AUTOMOT_ASSIGN_OR_RETURN(const std::string text,
                           ReadTextFile(tokenizer_json_path, kMaxFileBytes));
  return Parse(text);
}

absl::StatusOr<std::unique_ptr<const Tokenizer>> Tokenizer::Parse(std::string_view json_text) {
  AUTOMOT_ASSIGN_OR_RETURN(const Json document, ParseJson(json_text, "tokenizer.json"));
  auto impl = std::make_unique<Impl>();
  AUTOMOT_RETURN_IF_ERROR(CheckNormalizer(document, impl->nfc));
  AUTOMOT_ASSIGN_OR_RETURN(const std::string pattern, ReadSplitPattern(document));
  AUTOMOT_ASSIGN_OR_RETURN(impl->split, SplitRegex::Compile(pattern));
  const auto model = document.find("model");
  if (model == document.end() || !model->is_object())
    return Unsupported("model is missing or not an object");
  AUTOMOT_RETURN_IF_ERROR(CheckModelOptions(*model));
  AUTOMOT_RETURN_IF_ERROR(ReadVocabulary(*model, impl->encoder));
  AUTOMOT_RETURN_IF_ERROR(ReadMerges(*model, impl->encoder));
  AUTOMOT_RETURN_IF_ERROR(impl->ReadAdded(document));
  return std::unique_ptr<const Tokenizer>(new Tokenizer(std::move(impl)));
}

absl::StatusOr<std::vector<int64_t>> Tokenizer::Encode(std::string_view text,
                                                       bool allow_special) const {
  if (text.size() > kMaxTokenizerInputBytes) {
    return absl::InvalidArgumentError(
        Concat("text: ", text.size(), " bytes exceed the limit of ", kMaxTokenizerInputBytes));
  }
  std::vector<int64_t> ids;
  size_t plain = 0;  // start of the text not yet encoded
  for (size_t i = 0; allow_special && i < text.size();) {
    const Impl::Added* token = impl_->AddedAt(text.substr(i));
    if (token == nullptr) {
      ++i;
      continue;
    }
    AUTOMOT_RETURN_IF_ERROR(impl_->EncodePlain(text.substr(plain, i - plain), ids));
    ids.push_back(token->id);
    plain = i += token->content.size();
  }
  AUTOMOT_RETURN_IF_ERROR(impl_->EncodePlain(text.substr(plain), ids));
  return ids;
}

std::string Tokenizer::Decode(absl::Span<const int64_t> ids, bool skip_special) const {
  return LossyUtf8(DecodeBytes(ids, skip_special));
}

std::string Tokenizer::DecodeBytes(absl::Span<const int64_t> ids, bool skip_special) const {
  std::string bytes;
  for (const int64_t id : ids) {
    const auto added = impl_->added_by_id.find(id);
    if (added == impl_->added_by_id.end()) {
      bytes += impl_->encoder.Piece(id);
    } else if (!skip_special || !added->second->special) {
      bytes += added->second->content;
    }
  }
  return bytes;
}

std::optional<int64_t> Tokenizer::TokenId(std::string_view piece) const {
  for (const Impl::Added& token : impl_->added) {
    if (token.content == piece) return token.id;
  }
  return impl_->encoder.Id(piece);
}

bool Tokenizer::IsSpecial(int64_t id) const {
  const auto added = impl_->added_by_id.find(id);
  return added != impl_->added_by_id.end() && added->second->special;
}

int64_t Tokenizer::size() const {
  const int64_t largest = impl_->added_by_id.empty() ? -1 : impl_->added_by_id.rbegin()->first;
  return std::max(impl_->encoder.size(), largest + 1);
}

}  // namespace automot::model
