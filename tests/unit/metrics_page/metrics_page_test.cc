// docs/metrics.md says what a scrape returns, no more and no less; promtool has nothing to say
// about it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/metrics/metrics_server.h"
#include "tests/support/http_get.h"
#include "tests/unit/metrics_page/exercised_metrics.h"
#include "tests/unit/metrics_page/metrics_table.h"

namespace automot::metrics {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

// The body of a scrape, as Prometheus gets it.
std::string Scrape() {
  const ExercisedMetrics metrics;
  const auto server = MetricsServer::Start({.address = "127.0.0.1:0"}, &metrics.registry());
  if (!server.ok()) return absl::StrCat("no server: ", server.status().ToString());
  // The HTTP library counts a scrape when it is over.
  test_support::HttpGet((*server)->address(), "/metrics");
  const std::string answer = test_support::HttpGet((*server)->address(), "/metrics");
  const size_t body = answer.find("\r\n\r\n");
  return body == std::string::npos ? answer : answer.substr(body + 4);
}

const std::string& ScrapedText() {
  static const std::string* const text = new std::string(Scrape());
  return *text;
}

std::string DocumentText() {
  std::ifstream file(AUTOMOT_SOURCE_DIR "/docs/metrics.md");
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// One line for each row in which the two differ.
std::vector<std::string> Differences(const MetricsTable& document, const MetricsTable& scrape) {
  std::vector<std::string> found;
  for (const auto& [name, row] : document.rows) {
    const auto scraped = scrape.rows.find(name);
    if (scraped == scrape.rows.end()) {
      found.push_back(absl::StrCat(name, " is documented and not scraped"));
    } else if (scraped->second != row) {
      found.push_back(absl::StrCat(name, " is documented as ", ToString(row), " and scraped as ",
                                   ToString(scraped->second)));
    }
  }
  for (const auto& [name, row] : scrape.rows) {
    if (!document.rows.contains(name)) {
      found.push_back(absl::StrCat(name, " is scraped and not documented"));
    }
  }
  return found;
}

std::vector<std::string> UndocumentedValues(const MetricsTable& document,
                                            const MetricsTable& scrape) {
  std::vector<std::string> found;
  for (const auto& [key, values] : scrape.values) {
    auto known = document.values.find(key);
    if (known == document.values.end()) known = document.values.find({"all", key.second});
    for (const std::string& value : values) {
      if (known == document.values.end() ||
          (!known->second.contains(value) && !known->second.contains("*"))) {
        found.push_back(absl::StrCat(key.first, "{", key.second, "=\"", value, "\"}"));
      }
    }
  }
  return found;
}

std::vector<std::string> UnseenValues(const MetricsTable& document, const MetricsTable& scrape) {
  std::vector<std::string> found;
  for (const auto& [key, values] : document.values) {
    // One process has one lane and one kind of weights.
    if (key.second == "lane" || key.second == "weights") continue;
    for (const std::string& value : values) {
      bool seen = value == "*";
      for (const auto& [scraped, scraped_values] : scrape.values) {
        const bool same =
            scraped.second == key.second && (key.first == "all" || key.first == scraped.first);
        seen = seen || (same && scraped_values.contains(value));
      }
      if (!seen) found.push_back(absl::StrCat(key.first, "{", key.second, "=\"", value, "\"}"));
    }
  }
  return found;
}

TEST(MetricsPageTest, NamesTypesLabelsAndBucketsAreThoseScraped) {
  EXPECT_THAT(Differences(ParseDocument(DocumentText()), ParseScrape(ScrapedText())), IsEmpty());
}

TEST(MetricsPageTest, LabelValuesAreThoseScraped) {
  const MetricsTable document = ParseDocument(DocumentText());
  const MetricsTable scrape = ParseScrape(ScrapedText());
  EXPECT_THAT(UndocumentedValues(document, scrape), IsEmpty());
  EXPECT_THAT(UnseenValues(document, scrape), IsEmpty());
}

// The control: each kind of difference is found.
TEST(MetricsPageTest, TheComparisonFindsEveryKindOfDifference) {
  const MetricsTable document = ParseDocument(
      "| name | type | labels | unit | buckets | updated when |\n"
      "|---|---|---|---|---|---|\n"
      "| `gone_total` | counter | | apples | | now |\n"
      "| `eaten_total` | counter | `colour` | apples | | now |\n"
      "| `bite_seconds` | histogram | | seconds | coarse | now |\n"
      "| label | of | values |\n"
      "| `colour` | all | `red`, `blue` |\n"
      "| coarse | 1, 2 |\n");
  const MetricsTable scrape = ParseScrape(
      "# HELP eaten_total Apples.\n# TYPE eaten_total gauge\neaten_total{colour=\"green\"} 1\n"
      "# TYPE bite_seconds histogram\nbite_seconds_bucket{le=\"1\"} 1\n"
      "bite_seconds_bucket{le=\"+Inf\"} 1\nbite_seconds_sum 1\nbite_seconds_count 1\n"
      "# TYPE new_total counter\nnew_total 1\n");
  EXPECT_EQ(Differences(document, scrape).size(), 4U);
  EXPECT_EQ(UndocumentedValues(document, scrape).size(), 1U);
  EXPECT_EQ(UnseenValues(document, scrape).size(), 2U);
}

// What promtool says about `text`; empty where it has no complaint.
std::string Promtool(const std::string& text) {
  const std::string file = absl::StrCat(::testing::TempDir(), "/metrics_page_test.txt");
  std::ofstream(file) << text;
  const std::string command =
      absl::StrCat(AUTOMOT_PROMTOOL, " check metrics < '", file, "' 2>&1 || echo failed");
  std::FILE* const pipe = popen(command.c_str(), "r");
  std::string said;
  char buffer[1024];
  while (pipe != nullptr && std::fgets(buffer, sizeof(buffer), pipe) != nullptr) said += buffer;
  if (pipe != nullptr) pclose(pipe);
  std::remove(file.c_str());
  return pipe == nullptr ? "promtool does not start" : said;
}

TEST(MetricsPageTest, PromtoolHasNothingToSay) {
  if (std::string(AUTOMOT_PROMTOOL).empty()) GTEST_SKIP() << "no promtool (Debian: prometheus)";
  EXPECT_EQ(Promtool(ScrapedText()), "");
  EXPECT_THAT(Promtool("# TYPE eaten counter\neaten 1\n"), HasSubstr("_total"));
}

}  // namespace
}  // namespace automot::metrics
