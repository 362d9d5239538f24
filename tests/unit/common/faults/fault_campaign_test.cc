// A million injected faults (ten million in the long form): 0 bad commits, every fault a typed
// error or the exact bytes.
#include "tests/support/fault_campaign.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>
#include <string>

namespace automot::test_support {
namespace {

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr uint64_t kFaults = 100'000;
constexpr uint64_t kLongFaults = 1'000'000;
#else
constexpr uint64_t kFaults = 1'000'000;
constexpr uint64_t kLongFaults = 10'000'000;
#endif

bool LongTests() {
  const char* const value = std::getenv("AUTOMOT_LONG_TESTS");
  return value != nullptr && std::string(value) == "1";
}

TEST(FaultCampaignTest, EveryFaultIsATypedErrorOrHarmless) {
  const uint64_t wanted = LongTests() ? kLongFaults : kFaults;
  // A plan has 1.8 faults on average that change something.
  const CampaignOptions options = SeedsToRun(wanted * 10 / 17);
  const CampaignReport report = RunCampaign(options);
  std::cout << report.ToString() << "\n";
  EXPECT_TRUE(report.failures.empty()) << report.ToString();
  if (options.streams == 1) return;  // a replay
  EXPECT_GE(report.faults, wanted);
  for (int kind = 1; kind < faults::kFaultKindCount; ++kind) {
    EXPECT_GT(report.injected.at(static_cast<std::size_t>(kind)), wanted / 20)
        << ToString(faults::FaultKind(kind));
  }
  for (const context::AssemblyRefusal refusal :
       {context::AssemblyRefusal::kHeader, context::AssemblyRefusal::kReplaced,
        context::AssemblyRefusal::kUnexpected, context::AssemblyRefusal::kChunkBounds,
        context::AssemblyRefusal::kDuplicateChunk, context::AssemblyRefusal::kMissingChunk,
        context::AssemblyRefusal::kChunkHash, context::AssemblyRefusal::kIncomplete,
        context::AssemblyRefusal::kDigest}) {
    EXPECT_GT(report.refused.at(static_cast<std::size_t>(refusal)), 0U) << ToString(refusal);
  }
  EXPECT_GT(report.rejected.at(static_cast<std::size_t>(context::Rejection::kOldVersion)), 0U);
  EXPECT_GT(report.reads, 0U);
}

// The positive control, and the replay of what it finds: a receiver that computes no hash commits
// other bytes, and each such seed does so again when it runs alone.
TEST(FaultCampaignTest, AReceiverThatVerifiesNothingIsCaughtAndItsSeedReplays) {
  const CampaignReport trusting = RunCampaign({.streams = 400, .verify = false});
  ASSERT_FALSE(trusting.failures.empty());
  for (const CampaignFailure& failure : trusting.failures) {
    const CampaignReport alone =
        RunCampaign({.first_seed = failure.seed, .streams = 1, .threads = 1, .verify = false});
    ASSERT_FALSE(alone.failures.empty()) << failure.what;
    EXPECT_EQ(alone.failures.front().seed, failure.seed);
  }
  EXPECT_NE(trusting.ToString().find("AUTOMOT_FAULT_SEED="), std::string::npos)
      << "a failing run prints the command that replays it";
}

}  // namespace
}  // namespace automot::test_support
