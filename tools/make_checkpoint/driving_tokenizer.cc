#include "tools/make_checkpoint/driving_tokenizer.h"

#include <array>

#include "common/checkpoint/text.h"
#include "common/status/status_macros.h"
#include "common/tokenizer/byte_pair_encoder.h"
#include "nlohmann/json.hpp"
#include "tools/make_checkpoint/bpe_trainer.h"
#include "tools/make_checkpoint/driving_corpus.h"

namespace automot::model {
namespace {

constexpr size_t kMaxPieces = 4000;
constexpr char kSplitPattern[] =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

// In the published order; the offsets below are into this list.
constexpr std::array<const char*, 14> kAddedTokens = {
    "<|endoftext|>",      "<|im_start|>",     "<|im_end|>",     "<|object_ref_start|>",
    "<|object_ref_end|>", "<|box_start|>",    "<|box_end|>",    "<|quad_start|>",
    "<|quad_end|>",       "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>",
    "<|image_pad|>",      "<|video_pad|>"};
constexpr int64_t kImStart = 1, kImEnd = 2, kVisionStart = 9, kVisionEnd = 10, kImagePad = 12,
                  kVideoPad = 13;

nlohmann::json AddedTokenList(int64_t first) {
  nlohmann::json list = nlohmann::json::array();
  for (size_t i = 0; i < kAddedTokens.size(); ++i) {
    list.push_back({{"id", first + static_cast<int64_t>(i)},
                    {"content", kAddedTokens[i]},
                    {"single_word", false},
                    {"lstrip", false},
                    {"rstrip", false},
                    {"normalized", false},
                    {"special", true}});
  }
  return list;
}

nlohmann::json ModelPart(const TrainedBpe& bpe) {
  nlohmann::json vocab = nlohmann::json::object(), merges = nlohmann::json::array();
  for (size_t i = 0; i < bpe.pieces.size(); ++i) vocab[AlphabetOfBytes(bpe.pieces[i])] = i;
  for (const auto& [left, right] : bpe.merges) {
    merges.push_back(nlohmann::json::array({AlphabetOfBytes(left), AlphabetOfBytes(right)}));
  }
  return {{"type", "BPE"},
          {"dropout", nullptr},
          {"unk_token", nullptr},
          {"continuing_subword_prefix", nullptr},
          {"end_of_word_suffix", nullptr},
          {"fuse_unk", false},
          {"byte_fallback", false},
          {"ignore_merges", false},
          {"vocab", std::move(vocab)},
          {"merges", std::move(merges)}};
}

std::string Document(const TrainedBpe& bpe, int64_t first_added) {
  const nlohmann::json split = {{"type", "Split"},
                                {"pattern", {{"Regex", kSplitPattern}}},
                                {"behavior", "Isolated"},
                                {"invert", false}};
  const nlohmann::json level = {{"type", "ByteLevel"},
                                {"add_prefix_space", false},
                                {"trim_offsets", true},
                                {"use_regex", false}};
  const nlohmann::json document = {
      {"version", "1.0"},
      {"truncation", nullptr},
      {"padding", nullptr},
      {"added_tokens", AddedTokenList(first_added)},
      {"normalizer", {{"type", "NFC"}}},
      {"pre_tokenizer",
       {{"type", "Sequence"}, {"pretokenizers", nlohmann::json::array({split, level})}}},
      {"post_processor", nullptr},
      {"decoder",
       {{"type", "ByteLevel"},
        {"add_prefix_space", true},
        {"trim_offsets", true},
        {"use_regex", true}}},
      {"model", ModelPart(bpe)}};
  return document.dump(1) + "\n";
}

const absl::StatusOr<TrainedBpe>& Trained() {
  static const auto* bpe =
      new absl::StatusOr<TrainedBpe>(TrainBpe(DrivingCorpus(), kSplitPattern, kMaxPieces));
  return *bpe;
}

}  // namespace

absl::StatusOr<DrivingTokenizer> MakeDrivingTokenizer(int64_t im_start) {
  const auto& bpe = Trained();
  if (!bpe.ok()) return bpe.status();
  const auto pieces = static_cast<int64_t>(bpe->pieces.size());
  const int64_t first = im_start < 0 ? pieces : im_start - kImStart;
  if (first < pieces) {
    return absl::InvalidArgumentError(
        Concat("tokens.im_start ", im_start, ": the trained pieces take the ids below ", pieces));
  }
  return DrivingTokenizer{.json = Document(*bpe, first),
                          .ids = {.im_start = first + kImStart,
                                  .im_end = first + kImEnd,
                                  .vision_start = first + kVisionStart,
                                  .vision_end = first + kVisionEnd,
                                  .image_pad = first + kImagePad},
                          .end_of_text = first,
                          .video_pad = first + kVideoPad,
                          .size = first + static_cast<int64_t>(kAddedTokens.size())};
}

}  // namespace automot::model
