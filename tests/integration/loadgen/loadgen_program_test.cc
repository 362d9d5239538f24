// automot-loadgen as it is run: its report, its exit status, and that it ends.
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/integration/loadgen/synthetic_fixture.h"
#include "tests/support/run_program.h"

namespace automot::loadgen {
namespace {

using nlohmann::json;
using support::ProgramResult;
using support::RunProgram;

class LoadgenProgramTest : public ::testing::Test {
 protected:
  ProgramResult Run(const std::vector<std::string>& more, const std::string& seconds = "300") {
    std::vector<std::string> arguments = {"--address",
                                          server_.address(),
                                          "--vehicles",
                                          "8",
                                          "--rates-hz",
                                          "50",
                                          "--seconds",
                                          seconds,
                                          "--bev-channels",
                                          "8",
                                          "--json",
                                          "-",
                                          "--warm-up-seconds",
                                          "0.2",
                                          "--deadline-ms",
                                          "5000"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return RunProgram("automot-loadgen", arguments);
  }

  SyntheticServer server_{{"--reasoning-ms", "10"}};
};

TEST_F(LoadgenProgramTest, ReportsWhatItDidAndSucceeds) {
  const ProgramResult result = Run({"--requests", "400"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  const json report = json::parse(result.out);
  EXPECT_EQ(report.at("passed"), true);
  EXPECT_EQ(report.at("server").at("synthetic"), true);
  EXPECT_EQ(report.at("server").at("weights_trained"), false);
  const json& run = report.at("runs").at(0);
  const json& ticks = run.at("ticks");
  EXPECT_EQ(ticks.at("intended").get<int>() + ticks.at("warm_up").get<int>(), 400);
  EXPECT_EQ(run.at("wrong").at("answers"), 0);
  EXPECT_GT(run.at("proof").at("proven").get<int>(), 200);
  EXPECT_GT(run.at("ms").at("from_intended").at("p50").get<double>(), 0.0);
}

TEST_F(LoadgenProgramTest, ChaosIsBoundedAndNothingIsWrong) {
  for (const char* const mode : {"unary", "stream"}) {
    const ProgramResult result =
        Run({"--requests", "600", "--mode", mode, "--chaos-rate", "0.2", "--chaos",
             "disconnect,slow_reader,clock_skew,cancel,reset,reopen"});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    const json run = json::parse(result.out).at("runs").at(0);
    EXPECT_EQ(run.at("wrong").at("answers"), 0) << run.at("wrong");
    EXPECT_EQ(run.at("ticks").at("intended").get<int>() + run.at("ticks").at("warm_up").get<int>(),
              600);
    EXPECT_GE(run.at("chaos").size(), 5U) << run.at("chaos");
  }
}

TEST_F(LoadgenProgramTest, BrokenBoundIsItsExitStatus) {
  const ProgramResult result = Run({"--requests", "100", "--require", "p50_ms<=0.0001"});
  EXPECT_EQ(result.exit_code, 1) << result.err;
  EXPECT_EQ(json::parse(result.out).at("passed"), false);
}

TEST_F(LoadgenProgramTest, SweepRunsEachLoad) {
  const ProgramResult result = Run({"--requests", "100", "--sweep", "0.5,2"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  const json runs = json::parse(result.out).at("runs");
  ASSERT_EQ(runs.size(), 2U);
  EXPECT_EQ(runs[0].at("load"), 0.5);
  EXPECT_EQ(runs[1].at("load"), 2.0);
}

TEST_F(LoadgenProgramTest, EndsByTimeAsWell) {
  const ProgramResult result = Run({}, "0.5");
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_GT(json::parse(result.out).at("runs").at(0).at("ticks").at("on_time").get<int>(), 0);
}

TEST_F(LoadgenProgramTest, ServerThatIsAwayIsNamed) {
  EXPECT_EQ(server_.Stop(), 0);
  const ProgramResult result = Run({"--requests", "10", "--wait-ready-seconds", "0"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_NE(result.err.find("is not ready"), std::string::npos) << result.err;
}

TEST(LoadgenUsage, BadFlagsAreNamed) {
  for (const auto& [flag, value] : std::vector<std::pair<const char*, const char*>>{
           {"--chaos", "earthquake"}, {"--ramp", "1:2"}, {"--require", "p12<=1"}}) {
    const ProgramResult result = RunProgram("automot-loadgen", {flag, value});
    EXPECT_EQ(result.exit_code, 2) << flag;
    EXPECT_NE(result.err.find(value), std::string::npos) << result.err;
  }
}

}  // namespace
}  // namespace automot::loadgen
