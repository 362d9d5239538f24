// Decision spans and texts against the reference, case f_decisions.
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "common/control/decision_parser.h"

namespace automot::control {
namespace {

class GoldenDecisions : public ::testing::Test {
 protected:
  void SetUp() override {
    std::ifstream in(AUTOMOT_SOURCE_DIR "/tests/golden/data/cases/f_decisions.json");
    data_ = nlohmann::json::parse(in);
    ASSERT_EQ(data_["cases"].size(), 10U);
    for (const auto& [word, ids] : data_["word_ids"].items()) words_[ids[0]] = word;
    words_[data_["bos"]] = kImStartText;
    words_[data_["eos"]] = kImEndText;
  }
  nlohmann::json data_;
  std::map<int64_t, std::string> words_;
};

TEST_F(GoldenDecisions, SpanHoldsTheTokensThatTheReferenceDecodes) {
  for (const auto& c : data_["cases"]) {
    const auto ids = c["ids"].get<std::vector<int64_t>>();
    const absl::Span<const int64_t> span = DecisionTokenSpan(ids, data_["bos"], data_["eos"]);
    // The first span; without one, everything is decoded.
    const auto expected = c["spans"].empty() ? ids : c["spans"][0].get<std::vector<int64_t>>();
    EXPECT_EQ(std::vector<int64_t>(span.begin(), span.end()), expected) << c["ids"];
    std::string text;
    for (const int64_t id : span) text += words_.at(id);
    EXPECT_EQ(text, c["text"].get<std::string>());
  }
}

TEST_F(GoldenDecisions, TextGivesTheReferencesDecisionsAndNullsAreMissingSlots) {
  for (const auto& c : data_["cases"]) {
    const Decision decision = ParseDecision(c["text"].get<std::string>(), 0, {0.0, 1.0, 2.0});
    for (std::size_t i = 0; i < c["decisions"].size(); ++i) {
      const auto& expected = c["decisions"][i];
      ASSERT_EQ(i < decision.slot_count, !expected.is_null()) << c["text"];
      if (expected.is_null()) continue;
      // Slots keep 31 bytes; the longest of the cases has 32.
      EXPECT_EQ(decision.slots[i].text, InlineText<31>(expected.get<std::string>())) << c["text"];
    }
  }
}

}  // namespace
}  // namespace automot::control
