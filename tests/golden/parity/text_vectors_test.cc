// The tokenizer on what Hugging Face `tokenizers` made of the same strings and ids.
#include <gtest/gtest.h>

#include <fstream>

#include "common/tokenizer/split_regex.h"
#include "common/tokenizer/text_stream.h"
#include "common/tokenizer/tokenizer.h"
#include "common/tokenizer/utf8.h"
#include "nlohmann/json.hpp"

namespace automot::model {
namespace {

using nlohmann::json;

const std::string kData = AUTOMOT_SOURCE_DIR "/tests/golden/data/parity/";

json ReadJson(const std::string& name) {
  std::ifstream in(kData + name);
  return json::parse(in);
}

class TextVectorsTest : public ::testing::Test {
 protected:
  TextVectorsTest() : vectors_(ReadJson("text.json")) {
    auto tokenizer = Tokenizer::Load(kData + "tokenizer.json");
    EXPECT_TRUE(tokenizer.ok()) << tokenizer.status();
    tokenizer_ = *std::move(tokenizer);
  }

  json vectors_;
  std::unique_ptr<const Tokenizer> tokenizer_;
};

TEST_F(TextVectorsTest, NormalisesAndSplitsAsTheReference) {
  const json steps = ReadJson("tokenizer.json")["pre_tokenizer"]["pretokenizers"];
  const auto regex = SplitRegex::Compile(steps[0]["pattern"]["Regex"].get<std::string>());
  ASSERT_TRUE(regex.ok()) << regex.status();
  ASSERT_GT(vectors_["encode"].size(), 500U);
  for (const json& entry : vectors_["encode"]) {
    const std::string text = entry["text"];
    const auto normal = NormalizeNfc(text);
    ASSERT_TRUE(normal.ok()) << normal.status();
    EXPECT_EQ(*normal, entry["normal"].is_null() ? text : entry["normal"].get<std::string>());
    const auto words = regex->Split(*normal);
    ASSERT_TRUE(words.ok()) << words.status();
    EXPECT_EQ(std::vector<std::string>(words->begin(), words->end()),
              entry["words"].get<std::vector<std::string>>())
        << entry["text"].dump();
  }
}

TEST_F(TextVectorsTest, EncodesAsTheReference) {
  for (const json& entry : vectors_["encode"]) {
    const auto ids = tokenizer_->Encode(entry["text"].get<std::string>());
    ASSERT_TRUE(ids.ok()) << ids.status();
    EXPECT_EQ(*ids, entry["ids"].get<std::vector<int64_t>>()) << entry["text"].dump();
  }
}

TEST_F(TextVectorsTest, DecodesAsTheReferenceAlsoTokenByToken) {
  ASSERT_GT(vectors_["decode"].size(), 100U);
  for (const json& entry : vectors_["decode"]) {
    const auto ids = entry["ids"].get<std::vector<int64_t>>();
    const auto text = entry["text"].get<std::string>();
    EXPECT_EQ(tokenizer_->Decode(ids), text) << entry["ids"].dump();
    EXPECT_EQ(tokenizer_->Decode(ids, /*skip_special=*/true),
              entry["without_special"].get<std::string>())
        << entry["ids"].dump();
    TextStream stream(*tokenizer_);
    std::string streamed;
    for (const int64_t id : ids) streamed += stream.Add(id);
    EXPECT_EQ(streamed + stream.Finish(), text) << entry["ids"].dump();
  }
}

}  // namespace
}  // namespace automot::model
