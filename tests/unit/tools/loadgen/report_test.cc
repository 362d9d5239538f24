#include "tools/loadgen/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace automot::loadgen {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

std::vector<std::string> KeysOf(const json& object) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : object.items()) keys.push_back(key);
  return keys;
}

ReportInputs InputsOf(int ticks) {
  ReportInputs inputs;
  inputs.command = "automot-loadgen --vehicles 2";
  inputs.server.set_model_revision("synthetic:plan-proof-v1");
  inputs.options.target.addresses = {"127.0.0.1:1"};
  RunResult result{.measured = absl::Seconds(1)};
  for (int i = 0; i < ticks; ++i) {
    result.tally.Count(Outcome::kOnTime);
    result.tally.from_intended.Record(absl::Milliseconds(2));
  }
  inputs.runs = {result};
  return inputs;
}

// What scripts/plots rely on: a change here raises kReportSchema.
TEST(Report, HasItsSchema) {
  const json report = ReportOf(InputsOf(5));
  EXPECT_EQ(report.at("schema"), "automot-loadgen-1");
  EXPECT_THAT(KeysOf(report),
              ::testing::ElementsAre("command", "commit", "machine", "passed", "runs", "schema",
                                     "server", "settings", "time"));
  EXPECT_THAT(KeysOf(report.at("machine")), ::testing::ElementsAre("cores", "memory", "processor"));
  const json& run = report.at("runs").at(0);
  EXPECT_THAT(KeysOf(run), ::testing::ElementsAre("bounds", "chaos", "failures", "goodput_hz",
                                                  "load", "ms", "offered_hz", "proof", "reasons",
                                                  "seconds", "ticks", "wrong"));
  EXPECT_THAT(KeysOf(run.at("ticks")),
              ::testing::ElementsAre("cancelled", "failed", "intended", "late", "on_time",
                                     "refused", "unsent", "warm_up"));
  EXPECT_THAT(KeysOf(run.at("ms")),
              ::testing::ElementsAre("from_intended", "from_sent", "refusal", "retry_after",
                                     "server_queue", "staleness"));
  EXPECT_THAT(
      KeysOf(run.at("ms").at("from_sent")),
      ::testing::ElementsAre("count", "max", "mean", "p50", "p90", "p99", "p99_9", "p99_99"));
  EXPECT_EQ(run.at("ms").at("from_intended").at("p99"), 2.0);
  EXPECT_EQ(run.at("goodput_hz"), 5.0);
  EXPECT_EQ(report.at("server").at("synthetic"), true);
  EXPECT_EQ(report.at("passed"), true);
}

TEST(Report, OneWrongAnswerFailsIt) {
  ReportInputs inputs = InputsOf(5);
  inputs.runs[0].tally.wrong = 1;
  inputs.runs[0].tally.wrong_fields["session"] = 1;
  EXPECT_FALSE(Passed(inputs));
  EXPECT_EQ(ReportOf(inputs).at("passed"), false);
  EXPECT_THAT(SummaryOf(inputs.runs[0], {}), HasSubstr("WRONG: session 1"));
}

TEST(Report, BrokenBoundOfAnyRunFailsIt) {
  ReportInputs inputs = InputsOf(5);
  inputs.runs.push_back(RunResult{.measured = absl::Seconds(1)});
  inputs.bounds = ParseBounds("goodput_hz>=1").value();
  EXPECT_FALSE(Passed(inputs));
  inputs.runs.pop_back();
  EXPECT_TRUE(Passed(inputs));
}

TEST(Report, LiveViewShowsWhatIsWrong) {
  Tally tally = InputsOf(4).runs[0].tally;
  tally.wrong = 3;
  EXPECT_THAT(ProgressLine(absl::Seconds(1), tally), HasSubstr("wrong 3"));
  EXPECT_THAT(LiveBlock(absl::Seconds(1), tally), HasSubstr("wrong 3"));
}

}  // namespace
}  // namespace automot::loadgen
