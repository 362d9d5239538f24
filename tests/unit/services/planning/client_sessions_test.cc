// Sessions by client: one client's share, whoever else is there.
#include "tests/unit/services/planning/engine_fixture.h"

namespace automot::planning {
namespace {

using ::testing::HasSubstr;

class ClientSessionsTest : public EngineTest {
 protected:
  void SetUp() override {
    PlanningEngineOptions options;
    options.session_limit = 8;
    options.client_session_limit = 2;
    Start(options);
  }
  absl::StatusOr<OpenedSession> OpenFor(const std::string& client, const std::string& name,
                                        const std::string& token = "") {
    return engine_->OpenSession(name, token, OptionsOf(TimeMode::kRealtime), client);
  }
};

TEST_F(ClientSessionsTest, AClientAtItsQuotaIsRefusedByNameAndOthersAreNot) {
  ASSERT_TRUE(OpenFor("fleet", "a").ok());
  ASSERT_TRUE(OpenFor("fleet", "b").ok());
  const auto refused = OpenFor("fleet", "c");
  EXPECT_TRUE(absl::IsResourceExhausted(refused.status()));
  EXPECT_EQ(refused.status().message(),
            "client 'fleet' has 2 sessions open; the limit is 2 for one client");
  EXPECT_TRUE(OpenFor("other", "c").ok());
}

TEST_F(ClientSessionsTest, ClosingASessionGivesItsPlaceBack) {
  ASSERT_TRUE(OpenFor("fleet", "a").ok());
  ASSERT_TRUE(OpenFor("fleet", "b").ok());
  ASSERT_TRUE(engine_->CloseSession("a", 1).ok());
  EXPECT_TRUE(engine_->CheckClient("fleet").ok());
  EXPECT_TRUE(OpenFor("fleet", "c").ok());
  EXPECT_FALSE(OpenFor("fleet", "d").ok());
}

TEST_F(ClientSessionsTest, ARefusedNameTakesNoPlace) {
  ASSERT_TRUE(OpenFor("fleet", "a").ok());
  EXPECT_EQ(OpenFor("fleet", "a").status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_TRUE(OpenFor("fleet", "b").ok());
}

TEST_F(ClientSessionsTest, TakingOverASessionOpensNone) {
  const auto first = OpenFor("fleet", "a");
  ASSERT_TRUE(first.ok());
  ASSERT_TRUE(OpenFor("fleet", "b").ok());
  EXPECT_TRUE(OpenFor("fleet", "a", first->resume_token).ok());
  EXPECT_TRUE(OpenFor("moved", "a", first->resume_token).ok());
  EXPECT_FALSE(OpenFor("fleet", "c").ok()) << "it stays the session of who opened it";
}

TEST_F(ClientSessionsTest, ManyThreadsNeverPassTheQuotaTogether) {
  std::atomic<int> opened{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back(
        [&, i] { opened += OpenFor("fleet", absl::StrCat("car", i)).ok() ? 1 : 0; });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(opened, 2);
  EXPECT_EQ(engine_->session_count(), 2U);
}

}  // namespace
}  // namespace automot::planning
