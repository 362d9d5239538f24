// What the budget admits, what it refuses, and that it forgets nothing.
#include "common/context/memory_budget.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <thread>
#include <vector>

namespace automot::context {
namespace {

using ::testing::HasSubstr;
using Refusal = MemoryBudget::Refusal;

TEST(MemoryBudgetTest, ASessionIsAdmittedWhereTwoVersionsOfEachFit) {
  MemoryBudget budget({.process_bytes = 500, .expected_version_bytes = 100});
  EXPECT_TRUE(budget.Open().ok());
  EXPECT_TRUE(budget.Open().ok());
  const absl::Status third = budget.Open();
  EXPECT_EQ(third.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(third.message()), HasSubstr("600 bytes"));
  EXPECT_THAT(std::string(third.message()), HasSubstr("limit of the process is 500 bytes"));
  EXPECT_EQ(budget.stats().sessions_refused, 1U);
  budget.Close();
  EXPECT_TRUE(budget.Open().ok());
}

TEST(MemoryBudgetTest, ASessionWhoseLimitIsBelowTwoVersionsIsRefused) {
  MemoryBudget budget({.process_bytes = 1000, .session_bytes = 199, .expected_version_bytes = 100});
  const absl::Status status = budget.Open();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(status.message()), HasSubstr("take 200 bytes"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("limit of a session is 199 bytes"));
}

TEST(MemoryBudgetTest, AdmissionLearnsFromTheLargestVersionSeen) {
  MemoryBudget budget({.process_bytes = 500});
  ASSERT_TRUE(budget.Open().ok());
  ASSERT_TRUE(budget.Open().ok());
  const auto seen = budget.Take(1, 120);
  ASSERT_TRUE(seen.ok());
  EXPECT_FALSE(budget.Open().ok());  // 3 x 2 x 120 > 500
}

TEST(MemoryBudgetTest, AVersionBeyondEitherLimitIsRefusedNamingBytesAndLimit) {
  MemoryBudget budget({.process_bytes = 500, .session_bytes = 300});
  auto refusal = Refusal::kNone;
  auto first = budget.Take(1, 200, &refusal);
  ASSERT_TRUE(first.ok());
  const auto second = budget.Take(1, 101, &refusal);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(refusal, Refusal::kSession);
  EXPECT_THAT(std::string(second.status().message()),
              HasSubstr("101 bytes refused: the session holds 200 bytes, limit 300 bytes"));
  const auto other = budget.Take(2, 300, &refusal);
  ASSERT_TRUE(other.ok());
  const auto third = budget.Take(3, 1, &refusal);
  EXPECT_EQ(refusal, Refusal::kProcess);
  EXPECT_THAT(std::string(third.status().message()),
              HasSubstr("1 bytes refused: the process holds 500 bytes, limit 500 bytes"));
  EXPECT_EQ(budget.stats().versions_refused_by_session, 1U);
  EXPECT_EQ(budget.stats().versions_refused_by_process, 1U);
  EXPECT_EQ(budget.stats().largest_session_bytes, 300U);
}

TEST(MemoryBudgetTest, AChargeIsGivenBackOnceHoweverItMoves) {
  MemoryBudget budget({.process_bytes = 100});
  {
    MemoryBudget::Charge kept;
    {
      auto taken = budget.Take(1, 60);
      ASSERT_TRUE(taken.ok());
      kept = *std::move(taken);
    }
    EXPECT_EQ(budget.stats().used_bytes, 60U);
    kept = *budget.Take(1, 40);  // the new one is taken before the old one goes
    EXPECT_EQ(budget.stats().used_bytes, 40U);
  }
  EXPECT_EQ(budget.stats().used_bytes, 0U);
  EXPECT_EQ(budget.stats().largest_session_bytes, 0U);
}

TEST(MemoryBudgetTest, AChargeMayOutliveTheBudget) {
  MemoryBudget::Charge charge;
  {
    MemoryBudget budget({});
    charge = *budget.Take(1, 10);
  }
  EXPECT_EQ(charge.bytes(), 10U);
}

TEST(MemoryBudgetTest, ThreadsTogetherNeverExceedTheLimitAndGiveAllBack) {
  MemoryBudget budget({.process_bytes = 1000, .session_bytes = 400});
  std::vector<std::thread> threads;
  std::atomic<bool> exceeded{false};
  for (uint64_t session = 0; session < 4; ++session) {
    threads.emplace_back([&, session] {
      for (int i = 0; i < 2000; ++i) {
        std::vector<MemoryBudget::Charge> held;
        for (int k = 0; k < 6; ++k) {
          if (auto charge = budget.Take(session, 90); charge.ok()) {
            held.push_back(*std::move(charge));
          }
        }
        const MemoryBudget::Stats stats = budget.stats();
        if (stats.used_bytes > 1000 || stats.largest_session_bytes > 400) exceeded = true;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_FALSE(exceeded);
  EXPECT_EQ(budget.stats().used_bytes, 0U);
}

}  // namespace
}  // namespace automot::context
