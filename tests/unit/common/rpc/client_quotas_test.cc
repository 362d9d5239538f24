#include "common/rpc/client_quotas.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace automot::rpc {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::size_t kMib = 1 << 20;

class ClientQuotasTest : public ::testing::Test {
 protected:
  // How many of `count` requests in a row pass.
  static int Passed(ClientQuotas& quotas, const std::string& client, int count,
                    std::size_t bytes = 10) {
    int passed = 0;
    for (int i = 0; i < count; ++i) passed += quotas.Charge(client, 1, bytes).status.ok() ? 1 : 0;
    return passed;
  }

  ManualClock clock_;
};

TEST_F(ClientQuotasTest, WithoutLimitsEverythingPassesAndNobodyIsRemembered) {
  ClientQuotas quotas({}, &clock_);
  EXPECT_FALSE(quotas.enabled());
  EXPECT_EQ(Passed(quotas, "a", 10'000, kMib), 10'000);
  EXPECT_EQ(quotas.clients_remembered(), 0U);
}

TEST_F(ClientQuotasTest, ABurstOfOneSecondPassesAndThenTheRate) {
  ClientQuotas quotas({.requests_per_second = 20.0}, &clock_);
  EXPECT_EQ(Passed(quotas, "a", 100), 20);
  clock_.Advance(absl::Milliseconds(100));
  EXPECT_EQ(Passed(quotas, "a", 100), 2);
  clock_.Advance(absl::Hours(1));
  EXPECT_EQ(Passed(quotas, "a", 100), 20) << "an idle hour saves up no more than a second";
}

TEST_F(ClientQuotasTest, OneClientsFloodTakesNothingFromAnother) {
  ClientQuotas quotas({.requests_per_second = 10.0, .bytes_per_second = 1.0 * kMib}, &clock_);
  EXPECT_EQ(Passed(quotas, "flood", 1'000), 10);
  EXPECT_EQ(Passed(quotas, "honest", 10), 10);
}

TEST_F(ClientQuotasTest, RefusalNamesClientValueAndLimitAndWhenToComeBack) {
  ClientQuotas quotas({.requests_per_second = 4.0}, &clock_);
  Passed(quotas, "host:192.0.2.7", 4);
  const ClientQuotas::Verdict verdict = quotas.Charge("host:192.0.2.7", 1, 0);
  EXPECT_TRUE(absl::IsResourceExhausted(verdict.status));
  EXPECT_EQ(verdict.status.message(),
            "client 'host:192.0.2.7': requests per second are over the limit of 4, 0 requests "
            "ahead of it; retry after 250ms");
  EXPECT_EQ(verdict.retry_after, absl::Milliseconds(250));
  clock_.Advance(verdict.retry_after);
  EXPECT_TRUE(quotas.Charge("host:192.0.2.7", 1, 0).status.ok());
}

TEST_F(ClientQuotasTest, AMessageLargerThanASecondsBytesPassesOnceAndIsPaidForAfterwards) {
  ClientQuotas quotas({.bytes_per_second = 1.0 * kMib}, &clock_);
  EXPECT_TRUE(quotas.Charge("a", 1, 9 * kMib).status.ok());
  const ClientQuotas::Verdict verdict = quotas.Charge("a", 1, 1);
  EXPECT_THAT(std::string(verdict.status.message()),
              HasSubstr("MiB per second are over the limit of 1, 8 MiB ahead of it"));
  EXPECT_GE(verdict.retry_after, absl::Seconds(8));
  clock_.Advance(absl::Seconds(7));
  EXPECT_FALSE(quotas.Charge("a", 1, 1).status.ok());
  clock_.Advance(verdict.retry_after - absl::Seconds(7));
  EXPECT_TRUE(quotas.Charge("a", 1, 1).status.ok());
}

TEST_F(ClientQuotasTest, ABatchCostsAsManyRequestsAsItHasPlans) {
  ClientQuotas quotas({.requests_per_second = 10.0}, &clock_);
  EXPECT_TRUE(quotas.Charge("a", 30, 0).status.ok());
  clock_.Advance(absl::Seconds(2));
  EXPECT_FALSE(quotas.Charge("a", 1, 0).status.ok());
  clock_.Advance(absl::Milliseconds(100));
  EXPECT_TRUE(quotas.Charge("a", 1, 0).status.ok());
}

TEST_F(ClientQuotasTest, RefusalsAreReportedByQuotaAndCostNothing) {
  std::vector<ClientQuota> refused;
  ClientQuotas quotas({.requests_per_second = 2.0, .bytes_per_second = 100.0}, &clock_,
                      [&](ClientQuota quota) { refused.push_back(quota); });
  EXPECT_TRUE(quotas.Charge("a", 1, 100).status.ok());
  EXPECT_FALSE(quotas.Charge("a", 1, 100).status.ok());
  EXPECT_FALSE(quotas.Charge("a", 1, 100).status.ok());
  clock_.Advance(absl::Seconds(1));
  EXPECT_TRUE(quotas.Charge("a", 2, 1).status.ok());
  EXPECT_FALSE(quotas.Charge("a", 1, 1).status.ok());
  EXPECT_THAT(refused,
              ElementsAre(ClientQuota::kBytes, ClientQuota::kBytes, ClientQuota::kRequests));
}

TEST_F(ClientQuotasTest, AMillionClientsAreRememberedOnlyUpToTheLimitTheNewestOfThem) {
  ClientQuotas quotas({.requests_per_second = 1.0, .clients = 100}, &clock_);
  EXPECT_EQ(Passed(quotas, "steady", 2), 1);
  for (int i = 0; i < 100'000; ++i) {
    quotas.Charge("passing" + std::to_string(i), 1, 1).status.IgnoreError();
    EXPECT_FALSE(quotas.Charge("steady", 1, 1).status.ok())
        << "a client that stays is not forgotten";
  }
  EXPECT_EQ(quotas.clients_remembered(), 100U);
}

TEST_F(ClientQuotasTest, ManyThreadsOfOneClientShareOneBucket) {
  ClientQuotas quotas({.requests_per_second = 1'000.0}, &clock_);
  std::atomic<int> passed{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] { passed += Passed(quotas, "a", 1'000); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(passed, 1'000);
}

}  // namespace
}  // namespace automot::rpc
