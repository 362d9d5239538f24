#include "services/reasoning/stop_strings.h"

#include <gtest/gtest.h>

namespace automot::reasoning {
namespace {

// All that comes out for pieces of any size, and whether a stop was found.
struct Outcome {
  std::string text;
  bool found = false;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};
Outcome Feed(const std::vector<std::string>& stops, const std::vector<std::string>& pieces) {
  StopStrings stopper(stops);
  Outcome outcome;
  for (const std::string& piece : pieces) outcome.text += stopper.Add(piece);
  outcome.found = stopper.found();
  outcome.text += stopper.Finish();
  return outcome;
}

TEST(StopStrings, TheTextEndsBeforeTheFirstStop) {
  EXPECT_EQ(Feed({"END"}, {"go on END here"}), (Outcome{"go on ", true}));
  EXPECT_EQ(Feed({"END", "on"}, {"go on END here"}), (Outcome{"go ", true}));
  EXPECT_EQ(Feed({"END"}, {"END"}), (Outcome{"", true}));
}

TEST(StopStrings, WithoutAStopEverythingComesOut) {
  EXPECT_EQ(Feed({}, {"go ", "on"}), (Outcome{"go on", false}));
  EXPECT_EQ(Feed({"END"}, {"go ", "on E", "N"}), (Outcome{"go on EN", false}));
}

// Whatever the pieces are: each place to cut gives the same.
TEST(StopStrings, AStopMayLieAcrossPieces) {
  const std::string text = "aabaabaac and more";
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    EXPECT_EQ(Feed({"aabaac"}, {text.substr(0, cut), text.substr(cut)}), (Outcome{"aab", true}))
        << "cut at " << cut;
  }
  std::vector<std::string> letters;
  for (const char letter : text) letters.emplace_back(1, letter);
  EXPECT_EQ(Feed({"aabaac"}, letters), (Outcome{"aab", true}));
}

TEST(StopStrings, HoldsBackNoMoreThanMayBeginAStop) {
  StopStrings stopper({"\n\nQ:"});
  EXPECT_EQ(stopper.Add("Keep left.\n"), "Keep left.");
  EXPECT_EQ(stopper.Add("Then"), "\nThen");
  EXPECT_EQ(stopper.Add("\n\nQ"), "");
  EXPECT_EQ(stopper.Add(": why"), "");
  EXPECT_TRUE(stopper.found());
  EXPECT_EQ(stopper.Add("more"), "");
  EXPECT_EQ(stopper.Finish(), "");
}

// "\u20ac" and "\u20ad" differ in their last byte only.
TEST(StopStrings, NeverCutsACharacter) {
  StopStrings stopper({"\u20ac5"});
  EXPECT_EQ(stopper.Add("\u20ad"), "\u20ad");
  EXPECT_EQ(stopper.Add("x\u20ac"), "x");
  EXPECT_EQ(stopper.Add("6"), "\u20ac6");
}

}  // namespace
}  // namespace automot::reasoning
