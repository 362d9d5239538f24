#include "common/tokenizer/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "common/tokenizer/byte_pair_encoder.h"
#include "common/tokenizer/split_regex.h"
#include "common/tokenizer/utf8.h"
#include "nlohmann/json.hpp"

namespace automot::model {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::string kData = AUTOMOT_SOURCE_DIR "/tests/golden/data";

nlohmann::json TinyJson() {
  std::ifstream in(kData + "/tiny/tokenizer.json");
  return nlohmann::json::parse(in);
}

std::unique_ptr<const Tokenizer> Tiny() {
  auto tokenizer = Tokenizer::Load(kData + "/tiny/tokenizer.json");
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status();
  return tokenizer.ok() ? *std::move(tokenizer) : nullptr;
}

TEST(Tokenizer, DecodesTheGoldenDecisions) {
  std::ifstream in(kData + "/cases/f_decisions.json");
  const auto golden = nlohmann::json::parse(in);
  const auto tokenizer = Tiny();
  for (const auto& item : golden["cases"]) {
    // The text of a case is that of its first span, or of the whole sequence where there is none.
    const auto& source = item["spans"].empty() ? item["ids"] : item["spans"][0];
    EXPECT_EQ(tokenizer->Decode(source.get<std::vector<int64_t>>()),
              item["text"].get<std::string>())
        << item.dump();
  }
  for (const auto& [word, ids] : golden["word_ids"].items()) {
    EXPECT_EQ(*tokenizer->Encode(word), ids.get<std::vector<int64_t>>()) << word;
    EXPECT_EQ(tokenizer->TokenId(word), ids[0].get<int64_t>()) << word;
  }
}

TEST(Tokenizer, RoundTripsAnyText) {
  const auto tokenizer = Tiny();
  for (const std::string text :
       {"", " ", "a\r\n\n  b",
        "It's 3.50 m/s — \xC3\xA9t\xC3\xA9 \xE6\xB1\xBD\xE8\xBB\x8A \xF0\x9F\x9A\x97!",
        "tabs\t\tand   spaces   ", "x<|im_end|>y"}) {
    const auto ids = tokenizer->Encode(text);
    ASSERT_TRUE(ids.ok()) << ids.status();
    EXPECT_EQ(tokenizer->Decode(*ids), text);
  }
}

TEST(Tokenizer, ComposesBeforeEncoding) {
  const auto tokenizer = Tiny();
  EXPECT_EQ(*tokenizer->Encode("e\xCC\x81"), *tokenizer->Encode("\xC3\xA9"));
}

TEST(Tokenizer, RecognisesAddedTokensOnlyWhenAllowed) {
  const auto tokenizer = Tiny();
  EXPECT_THAT(*tokenizer->Encode("<|im_start|><|im_end|>"), ElementsAre(403, 404));
  EXPECT_GT(tokenizer->Encode("<|im_start|>", /*allow_special=*/false)->size(), 1u);
  EXPECT_EQ(tokenizer->Decode({403, 361, 404}, /*skip_special=*/true), " stop");
  EXPECT_TRUE(tokenizer->IsSpecial(403));
  EXPECT_FALSE(tokenizer->IsSpecial(361));
  EXPECT_EQ(tokenizer->TokenId("<|image_pad|>"), 408);
  EXPECT_EQ(tokenizer->TokenId("no such piece"), std::nullopt);
  EXPECT_EQ(tokenizer->size(), 410);
}

TEST(Tokenizer, TakesTheLongestOfTwoAddedTokens) {
  auto json = TinyJson();
  json["added_tokens"].push_back({{"id", 500}, {"content", "<|im_end|>>"}, {"special", true}});
  auto tokenizer = Tokenizer::Parse(json.dump());
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  EXPECT_THAT(*(*tokenizer)->Encode("<|im_end|>><|im_end|>"), ElementsAre(500, 404));
}

TEST(Tokenizer, ShowsBrokenCharactersAsReplacement) {
  const auto tokenizer = Tiny();
  const int64_t lead = *tokenizer->TokenId("\xE6");
  EXPECT_EQ(tokenizer->Decode({lead, *tokenizer->TokenId("!")}), "\xEF\xBF\xBD!");
}

TEST(Tokenizer, IgnoresIdsWithoutAPiece) {
  EXPECT_EQ(Tiny()->Decode({-1, 409 + 1, 1023, int64_t{1} << 60}), "");
}

TEST(Tokenizer, RefusesTextThatIsNotUtf8OrTooLong) {
  const auto tokenizer = Tiny();
  EXPECT_EQ(tokenizer->Encode("a\xFFz").status().code(), absl::StatusCode::kInvalidArgument);
  const auto status = tokenizer->Encode(std::string(kMaxTokenizerInputBytes + 1, 'a')).status();
  EXPECT_THAT(status.message(), HasSubstr("1048577 bytes exceed the limit of 1048576"));
}

TEST(Tokenizer, AWordOfTheLargestSizeIsEncoded) {
  const auto tokenizer = Tiny();
  const std::string word(kMaxTokenizerInputBytes, 's');
  EXPECT_EQ(tokenizer->Decode(*tokenizer->Encode(word)), word);
}

TEST(Tokenizer, AcceptsMergesAsStrings) {
  auto json = TinyJson();
  for (auto& merge : json["model"]["merges"]) {
    merge = merge[0].get<std::string>() + " " + merge[1].get<std::string>();
  }
  auto tokenizer = Tokenizer::Parse(json.dump());
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  const std::string text = "keep straight, then stop";
  EXPECT_EQ(*(*tokenizer)->Encode(text), *Tiny()->Encode(text));
}

struct BadPart {
  const char* pointer;
  const char* value;
  const char* message;
};
void PrintTo(const BadPart& bad, std::ostream* out) { *out << bad.pointer << "=" << bad.value; }

class BadTokenizer : public ::testing::TestWithParam<BadPart> {};

TEST_P(BadTokenizer, IsRefusedByName) {
  auto json = TinyJson();
  json[nlohmann::json::json_pointer(GetParam().pointer)] = nlohmann::json::parse(GetParam().value);
  const auto tokenizer = Tokenizer::Parse(json.dump());
  ASSERT_FALSE(tokenizer.ok());
  EXPECT_THAT(tokenizer.status().message(), HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    Parts, BadTokenizer,
    ::testing::Values(
        BadPart{"/normalizer/type", "\"NFKC\"", "only NFC is supported"},
        BadPart{"/pre_tokenizer", "null", "only a Sequence"},
        BadPart{"/pre_tokenizer/pretokenizers/0/pattern/Regex", "\"(\"", "split expression"},
        BadPart{"/pre_tokenizer/pretokenizers/0/behavior", "\"Removed\"",
                "behavior is \"Removed\""},
        BadPart{"/pre_tokenizer/pretokenizers/1/add_prefix_space", "true",
                "add_prefix_space must be false"},
        BadPart{"/model/type", "\"Unigram\"", "only \"BPE\" is supported"},
        BadPart{"/model/dropout", "0.5", "dropout"},
        BadPart{"/model/ignore_merges", "true", "ignore_merges must be false"},
        BadPart{"/model/vocab/!", "1", "id 1 appears twice"},
        BadPart{"/model/vocab/!", "99999999999", "is outside [0, 1048576)"},
        BadPart{"/model/vocab/!", "-1", "has no whole-number id"},
        BadPart{"/model/vocab/ ", "1000", "is not byte-level text"},
        BadPart{"/model/vocab", "{\"a\": 0}", "byte 0 has no token"},
        BadPart{"/model/merges/0", "\"ab\"", "entry 0 is not a pair"},
        BadPart{"/model/merges/0", "[\"z\", \"z\"]", "entry 0 (\"z\", \"z\") names a piece"},
        BadPart{"/added_tokens/0/id", "403", "added_tokens: id 403 appears twice"},
        BadPart{"/added_tokens/0/content", "\"\"", "empty content"},
        BadPart{"/added_tokens/0/lstrip", "true", "lstrip must be false"}));

TEST(BytePairEncoder, MergesByRankNotFromTheLeft) {
  BytePairEncoder encoder;
  for (int byte = 0; byte < 256; ++byte) {
    ASSERT_TRUE(encoder.AddPiece(std::string(1, static_cast<char>(byte)), byte).ok());
  }
  ASSERT_TRUE(encoder.AddPiece("bc", 256).ok());
  ASSERT_TRUE(encoder.AddPiece("ab", 257).ok());
  ASSERT_TRUE(encoder.AddPiece("abc", 258).ok());
  ASSERT_TRUE(encoder.AddMerge("b", "c").ok());
  ASSERT_TRUE(encoder.AddMerge("a", "b").ok());
  ASSERT_TRUE(encoder.AddMerge("a", "bc").ok());
  ASSERT_TRUE(encoder.Finish().ok());
  std::vector<int64_t> ids;
  encoder.EncodeWord("abcab", ids);
  EXPECT_THAT(ids, ElementsAre(258, 257));
}

TEST(BytePairEncoder, AlphabetIsABijection) {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  EXPECT_EQ(BytesOfAlphabet(AlphabetOfBytes(all)), all);
  EXPECT_EQ(AlphabetOfBytes(" a\n"),
            "\xC4\xA0"
            "a\xC4\x8A");
  EXPECT_EQ(BytesOfAlphabet("a b"), std::nullopt);
}

TEST(SplitRegex, CutsAsQwenDoes) {
  const std::string pattern = TinyJson()["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"];
  const auto regex = SplitRegex::Compile(pattern);
  ASSERT_TRUE(regex.ok()) << regex.status();
  EXPECT_THAT(*regex->Split("It's 12 m/s,  now\n"),
              ElementsAre("It", "'s", " ", "1", "2", " m", "/s", ",", " ", " now", "\n"));
}

// U+2EBF0 and U+16D47 are letters, U+16D70 a number, since Unicode 15.1 and 16.
TEST(SplitRegex, KnowsLettersAndNumbersOfLaterUnicodeVersions) {
  const std::string pattern = TinyJson()["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"];
  const auto regex = SplitRegex::Compile(pattern);
  ASSERT_TRUE(regex.ok()) << regex.status();
  EXPECT_THAT(*regex->Split("a\xF0\xAE\xAF\xB0 \xF0\x96\xB5\x87'\xF0\x96\xB5\xB0"),
              ElementsAre("a\xF0\xAE\xAF\xB0", " \xF0\x96\xB5\x87", "'", "\xF0\x96\xB5\xB0"));
}

// U+0316 goes before U+0301, but neither passes U+0898, which is newer than the reference's tables.
TEST(NormalizeNfc, OrdersOnlyTheMarksThatTheReferenceKnows) {
  EXPECT_EQ(*NormalizeNfc("a\xCC\x81\xCC\x96"), "\xC3\xA1\xCC\x96");
  EXPECT_EQ(*NormalizeNfc("a\xE0\xA2\x98\xCC\x81\xCC\x96"), "a\xE0\xA2\x98\xCC\x96\xCC\x81");
  EXPECT_EQ(*NormalizeNfc("\xF0\x91\xA4\xB5\xF0\x91\xA4\xB0"), "\xF0\x91\xA4\xB5\xF0\x91\xA4\xB0");
}

// U+180E is a format character, U+0085 and U+2003 are white space.
TEST(SplitRegex, TakesUnicodeForWhiteSpace) {
  const std::string pattern = TinyJson()["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"];
  const auto regex = SplitRegex::Compile(pattern);
  ASSERT_TRUE(regex.ok()) << regex.status();
  EXPECT_THAT(*regex->Split("a\xE1\xA0\x8E=b"), ElementsAre("a", "\xE1\xA0\x8E=", "b"));
  EXPECT_THAT(*regex->Split("a\xC2\x85\xE2\x80\x83 b"),
              ElementsAre("a", "\xC2\x85\xE2\x80\x83", " b"));
}

TEST(SplitRegex, KeepsTheGapsBetweenMatches) {
  const auto regex = SplitRegex::Compile("b+");
  ASSERT_TRUE(regex.ok()) << regex.status();
  EXPECT_THAT(*regex->Split("abbac"), ElementsAre("a", "bb", "ac"));
}

TEST(SplitRegex, GivesUpOnAnExpressionThatExplodes) {
  const auto regex = SplitRegex::Compile("(a+)+$");
  ASSERT_TRUE(regex.ok()) << regex.status();
  EXPECT_EQ(regex->Split(std::string(64, 'a') + "b").status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(LossyUtf8, ReplacesMaximalMalformedParts) {
  EXPECT_EQ(LossyUtf8("a\xE6\xB1z"), "a\xEF\xBF\xBDz");
  EXPECT_EQ(LossyUtf8("\xC0\xAF"), "\xEF\xBF\xBD\xEF\xBF\xBD");
  EXPECT_EQ(LossyUtf8("\xED\xA0\x80"), "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
  EXPECT_EQ(LossyUtf8("\xF0\x9F\x9A\x97"), "\xF0\x9F\x9A\x97");
}

}  // namespace
}  // namespace automot::model
