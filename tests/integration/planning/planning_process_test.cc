// automot-planning and automot-serve as processes: what they say first, how they plan, drain and
// end, and how they refuse what cannot work.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/integration/planning/process_fixture.h"

namespace automot {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

std::vector<std::string> PlanningArguments() {
  return ProgramArguments({"--address", "127.0.0.1:0", "--reasoning-address", "127.0.0.1:1"});
}
std::vector<std::string> ServeArguments() {
  return ProgramArguments(
      {"--planning-address", "127.0.0.1:0", "--reasoning-address", "127.0.0.1:0"});
}

// A program that must end by itself: with `exit_code`, and one line on its standard error that
// begins with its name and holds `text`.
void ExpectRefusal(const std::string& program, std::vector<std::string> arguments, int exit_code,
                   const std::string& text) {
  arguments.insert(arguments.end(), {"--log-level", "error"});
  support::RunningProgram refused(program, arguments);
  EXPECT_EQ(refused.Wait(), exit_code);
  const std::string said = refused.Errors();
  EXPECT_THAT(said, StartsWith(program + ": "));
  EXPECT_THAT(said, HasSubstr(text));
  EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 1) << said;
}

TEST(PlanningProcessTest, DrainAnswersWhatIsParkedAndEndsWell) {
  support::RunningProgram program("automot-planning", PlanningArguments());
  const std::string address = program.ReadAddress("planning");
  ASSERT_NE(address, "") << program.Errors();
  EXPECT_NE(program.Address("metrics"), "");
  DrivenCar car(address, v1::TIME_MODE_STEPPED);  // its context will never come
  DrivenCar* const waiting = &car;
  v1::PlanResponse answer;
  std::thread plan([&] {
    auto parked = waiting->session().Plan(waiting->SeenAt(0), {.timeout = absl::Minutes(1)});
    EXPECT_TRUE(parked.ok()) << parked.status();
    if (parked.ok()) answer = *std::move(parked);
  });
  EXPECT_TRUE(car.WaitFor([](const auto& status) { return status.parked_plans() == 1; }));
  program.Signal(SIGTERM);
  plan.join();
  EXPECT_TRUE(Has(answer, v1::REASON_FALLBACK));
  EXPECT_EQ(program.Wait(), 0) << program.Errors();
}

TEST(ServeProcessTest, OneProcessPlansOnItsOwnContexts) {
  support::RunningProgram program("automot-serve", ServeArguments());
  const std::string address = program.ReadAddress("planning");
  ASSERT_NE(address, "") << program.Errors();
  EXPECT_NE(program.Address("reasoning"), "");
  EXPECT_NE(program.Address("metrics"), "");
  {
    DrivenCar car(address, v1::TIME_MODE_STEPPED);
    for (int64_t time = 0; time <= 1'000'000; time += 250'000) {
      const v1::PlanResponse answer = car.PlanAt(time);
      EXPECT_FALSE(Has(answer, v1::REASON_FALLBACK));
      EXPECT_EQ(answer.provenance().ages().context_us(), time % 500'000);
    }
  }
  program.Signal(SIGTERM);
  EXPECT_EQ(program.Wait(), 0) << program.Errors();
}

class RefusalTest : public ::testing::TestWithParam<const char*> {
 protected:
  static std::vector<std::string> Arguments() {
    return std::string(GetParam()) == "automot-serve" ? ServeArguments() : PlanningArguments();
  }
  // The arguments with `value` in place of the checkpoint's folder.
  static std::vector<std::string> OnCheckpoint(const std::string& value) {
    std::vector<std::string> arguments = Arguments();
    arguments[1] = value;
    return arguments;
  }
  static std::vector<std::string> With(const std::vector<std::string>& more) {
    std::vector<std::string> arguments = Arguments();
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
};

TEST_P(RefusalTest, BadFlagsEndWithTwo) {
  ExpectRefusal(GetParam(), {}, 2, "--checkpoint");
  ExpectRefusal(GetParam(), With({"--no-such-flag"}), 2, "--no-such-flag");
  ExpectRefusal(GetParam(), With({"--max-sessions", "0"}), 2, "--max-sessions");
  ExpectRefusal(GetParam(), With({"--planner-core", "middle"}), 2, "--planner-core is 'middle'");
}

TEST_P(RefusalTest, CheckpointThatCannotBeUsedEndsWithOneAndNamesTheFile) {
  ExpectRefusal(GetParam(), OnCheckpoint("/nowhere"), 1, "/nowhere");
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() /
      (std::string(GetParam()) + "-cut-" + std::to_string(::getpid()));
  std::filesystem::copy(kTinyCheckpoint, folder);
  std::filesystem::resize_file(folder / "model.safetensors", 1000);
  ExpectRefusal(GetParam(), OnCheckpoint(folder), 1, "model.safetensors");
  std::filesystem::remove_all(folder);
}

TEST_P(RefusalTest, CertificateThatCannotBeReadEndsWithOneAndNamesTheFlag) {
  ExpectRefusal(GetParam(), With({"--tls-cert", "/nowhere.pem", "--tls-key", "/nowhere.key"}), 1,
                "--tls-cert: cannot read '/nowhere.pem'");
}

INSTANTIATE_TEST_SUITE_P(Programs, RefusalTest,
                         ::testing::Values("automot-planning", "automot-serve"),
                         [](const auto& info) {
                           return std::string(info.param) == "automot-serve" ? "Serve" : "Planning";
                         });

TEST(PlanningProcessTest, AddressBeyondLoopbackIsRefusedByName) {
  ExpectRefusal(
      "automot-planning",
      ProgramArguments({"--address", "0.0.0.0:0", "--reasoning-address", "127.0.0.1:1"}), 1,
      "'0.0.0.0:0' is reachable beyond loopback: give --tls-cert and --tls-key, or --insecure");
}

}  // namespace
}  // namespace automot
