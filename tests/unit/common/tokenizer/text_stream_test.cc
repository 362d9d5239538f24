#include "common/tokenizer/text_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "common/tokenizer/utf8.h"

namespace automot::model {
namespace {

using ::testing::ElementsAre;

// In the tiny vocabulary the ids of the first pieces are single bytes.
class TextStreamTest : public ::testing::Test {
 protected:
  TextStreamTest() {
    auto tokenizer = Tokenizer::Load(AUTOMOT_SOURCE_DIR "/tests/golden/data/tiny/tokenizer.json");
    EXPECT_TRUE(tokenizer.ok()) << tokenizer.status();
    tokenizer_ = *std::move(tokenizer);
  }

  std::vector<std::string> Pieces(const std::vector<int64_t>& ids) const {
    TextStream stream(*tokenizer_);
    std::vector<std::string> pieces;
    for (const int64_t id : ids) pieces.push_back(stream.Add(id));
    pieces.push_back(stream.Finish());
    return pieces;
  }
  std::vector<int64_t> Bytes(std::string_view bytes) const {
    std::vector<int64_t> ids;
    for (const char byte : bytes) ids.push_back(*tokenizer_->TokenId({&byte, 1}));
    return ids;
  }

  std::unique_ptr<const Tokenizer> tokenizer_;
};

TEST_F(TextStreamTest, HoldsACharacterBackUntilItIsComplete) {
  EXPECT_THAT(Pieces(Bytes("a\xF0\x9F\x9A\x97")),
              ElementsAre("a", "", "", "", "\xF0\x9F\x9A\x97", ""));
}

TEST_F(TextStreamTest, ReplacesWhatCanNoLongerBecomeACharacter) {
  EXPECT_THAT(Pieces(Bytes("\xE6\xB1z\xC3")),
              ElementsAre("", "", "\xEF\xBF\xBDz", "", "\xEF\xBF\xBD"));
}

TEST_F(TextStreamTest, GivesTheTextOfAllTokensWhateverTheyAre) {
  std::mt19937 random(7);
  std::vector<int64_t> wild = Bytes("\xC3\xA9\xE6\xB1\xBD\xF0\x9F\x9A\x97\xED\xA0\xFF");
  for (int round = 0; round < 2000; ++round) {
    std::vector<int64_t> ids(random() % 24);
    for (int64_t& id : ids) {
      id = random() % 3 == 0 ? static_cast<int64_t>(random() % 410) : wild[random() % wild.size()];
    }
    std::string text;
    for (const std::string& piece : Pieces(ids)) {
      EXPECT_EQ(piece, LossyUtf8(piece));
      text += piece;
    }
    ASSERT_EQ(text, tokenizer_->Decode(ids)) << "round " << round;
  }
}

}  // namespace
}  // namespace automot::model
