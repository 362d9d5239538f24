#include "common/logging/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

namespace automot::logging {
namespace {

// Collects lines while it lives.
class LogTest : public ::testing::Test {
 protected:
  LogTest() {
    SetSink([this](std::string_view line) { lines_.emplace_back(line); });
  }
  ~LogTest() override {
    SetSink(nullptr);
    SetLevel(Level::kInfo);
  }
  std::vector<std::string> lines_;
};

TEST_F(LogTest, WritesOneJsonObjectWithTypedValues) {
  const std::string name = "veh\"icle\\1\n";
  AUTOMOT_LOG(kWarning, "refresh_failed",
              {{"session", name},
               {"version", uint64_t{7}},
               {"age_us", int64_t{-3}},
               {"rate_hz", 2.5},
               {"late", true}});
  ASSERT_EQ(lines_.size(), 1U);
  const auto line = nlohmann::json::parse(lines_[0]);
  EXPECT_EQ(line["event"], "refresh_failed");
  EXPECT_EQ(line["level"], "warning");
  EXPECT_EQ(line["session"], name);
  EXPECT_EQ(line["version"], 7);
  EXPECT_EQ(line["age_us"], -3);
  EXPECT_EQ(line["rate_hz"], 2.5);
  EXPECT_EQ(line["late"], true);
}

TEST_F(LogTest, StaysJsonWhereANumberIsNotFinite) {
  AUTOMOT_LOG(kInfo, "x", {{"value", std::numeric_limits<double>::quiet_NaN()}});
  ASSERT_EQ(lines_.size(), 1U);
  EXPECT_EQ(nlohmann::json::parse(lines_[0])["value"], "nan");
}

TEST_F(LogTest, DropsWhatIsBelowTheLevelUnformatted) {
  SetLevel(Level::kError);
  bool formatted = false;
  const auto costly = [&] {
    formatted = true;
    return std::string("x");
  };
  AUTOMOT_LOG(kWarning, "quiet", {{"value", costly()}});
  EXPECT_TRUE(lines_.empty());
  EXPECT_FALSE(formatted);
  AUTOMOT_LOG(kError, "loud", {{"value", costly()}});
  EXPECT_EQ(lines_.size(), 1U);
}

TEST_F(LogTest, KeepsLinesOfManyThreadsWhole) {
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t] {
      for (int i = 0; i < 100; ++i) AUTOMOT_LOG(kInfo, "line", {{"thread", t}, {"i", i}});
    });
  }
  threads.clear();
  ASSERT_EQ(lines_.size(), 400U);
  for (const std::string& line : lines_) EXPECT_TRUE(nlohmann::json::accept(line)) << line;
}

TEST(ParseLevelTest, NamesTheChoices) {
  EXPECT_EQ(*ParseLevel("error"), Level::kError);
  EXPECT_THAT(std::string(ParseLevel("loud").status().message()),
              ::testing::HasSubstr("debug, info, warning or error"));
}

}  // namespace
}  // namespace automot::logging
