// The memory budget of contexts: what it refuses, and that the last context keeps serving (promise
// 9 of the snapshot path).
#include "tests/unit/services/planning/engine_fixture.h"

namespace automot::planning {
namespace {

using ::testing::HasSubstr;

constexpr context::ContextLayout kLayout{
    .layers = 1, .tokens = 16, .kv_heads = 1, .k_head_dim = 8, .v_head_dim = 8};
constexpr std::size_t kVersionBytes = 1024;

struct RejectionMetrics final : PlanningMetrics {
  void CountRejectedSnapshot(std::string_view reason) override { reasons.emplace_back(reason); }
  std::vector<std::string> reasons;
};

class MemoryBudgetEngineTest : public EngineTest {
 protected:
  void SetUp() override { ASSERT_EQ(kLayout.total_bytes(), kVersionBytes); }

  void StartWith(std::size_t process_bytes, std::size_t session_bytes) {
    engine_.reset();
    PlanningEngineOptions options;
    options.memory = {.process_bytes = process_bytes, .session_bytes = session_bytes};
    auto engine =
        PlanningEngine::Create(options, &expert_, &channel_, &clock_, &rejection_metrics_);
    ASSERT_TRUE(engine.ok()) << engine.status();
    engine_ = *std::move(engine);
  }
  // A version of `layout` for session `name`, captured before the session's first observation.
  bool Publish(SessionTimeUs capture_us, const std::string& name = "car",
               const context::ContextLayout& layout = kLayout) {
    return channel_.Publish(
        capture_us - 1'000'000,
        [&](context::ContextSnapshot& snapshot) {
          snapshot.header.layout = layout;
          snapshot.kv = context::KvBuffer::Allocate(layout).value();
        },
        name);
  }
  uint64_t Serving(const std::string& name = "car") {
    return engine_->GetSessionStatus(name)->latest.version;
  }
  uint32_t Retained(const std::string& name = "car") {
    return engine_->GetSessionStatus(name)->retained;
  }

  RejectionMetrics rejection_metrics_;
};

TEST_F(MemoryBudgetEngineTest, OpenSessionIsRefusedNamingBytesAndLimit) {
  expert_.mutable_info().usual_context_bytes = kVersionBytes;
  StartWith(3 * kVersionBytes, 0);
  Open("car", OptionsOf(TimeMode::kRealtime));
  const auto second = engine_->OpenSession("van", "", OptionsOf(TimeMode::kRealtime));
  EXPECT_EQ(second.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("4096 bytes"));
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("limit of the process is 3072"));
  EXPECT_EQ(engine_->session_count(), 1U);
  EXPECT_EQ(engine_->memory_stats().sessions_refused, 1U);
  // What is closed makes room.
  ASSERT_TRUE(engine_->CloseSession("car", car_lease_).ok());
  EXPECT_TRUE(engine_->OpenSession("van", "", OptionsOf(TimeMode::kRealtime)).ok());
}

TEST_F(MemoryBudgetEngineTest, ASessionThatCouldNotBeOpenedHoldsNoPlace) {
  expert_.mutable_info().usual_context_bytes = kVersionBytes;
  StartWith(4 * kVersionBytes, 0);
  Open("car", OptionsOf(TimeMode::kRealtime));
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(engine_->OpenSession("car", "", OptionsOf(TimeMode::kRealtime)).status().code(),
              absl::StatusCode::kAlreadyExists);
  }
  EXPECT_EQ(engine_->memory_stats().sessions, 1U);
}

TEST_F(MemoryBudgetEngineTest, ASpentSessionBudgetGivesUpRetainedVersionsFirst) {
  StartWith(100 * kVersionBytes, 2 * kVersionBytes);
  Open("car", OptionsOf(TimeMode::kRealtime));
  for (int version = 1; version <= 9; ++version) {
    ASSERT_TRUE(Publish(version * 100'000));
    ASSERT_EQ(Serving(), static_cast<uint64_t>(version));
    ASSERT_LE(engine_->memory_stats().used_bytes, 2 * kVersionBytes);
  }
  EXPECT_LE(Retained(), 2U);
  EXPECT_TRUE(rejection_metrics_.reasons.empty());
}

TEST_F(MemoryBudgetEngineTest, AVersionBeyondTheSessionsBudgetIsRefusedAndTheLastKeepsServing) {
  StartWith(100 * kVersionBytes, kVersionBytes);
  Open("car", OptionsOf(TimeMode::kRealtime));
  ASSERT_TRUE(Publish(100'000));
  for (int refused = 1; refused <= 3; ++refused) {
    ASSERT_TRUE(Publish(100'000 + refused * 100'000));
    ASSERT_EQ(Serving(), 1U);
    ASSERT_EQ(rejection_metrics_.reasons.size(), static_cast<std::size_t>(refused));
    EXPECT_EQ(rejection_metrics_.reasons.back(), "memory_session");
  }
  const Answer answer = PlanAt(1);
  EXPECT_FALSE(answer.IsFallback());
  EXPECT_EQ(answer.result.snapshot.version, 1U);
}

TEST_F(MemoryBudgetEngineTest, ASpentProcessTakesRetainedVersionsOfOthersButNeverTheirLast) {
  StartWith(4 * kVersionBytes, 0);
  Open("car", OptionsOf(TimeMode::kRealtime));
  Open("van", OptionsOf(TimeMode::kRealtime));
  for (int version = 1; version <= 3; ++version) ASSERT_TRUE(Publish(version * 100'000, "van"));
  ASSERT_EQ(Retained("van"), 3U);
  ASSERT_TRUE(Publish(100'000, "car"));
  ASSERT_TRUE(Publish(200'000, "car"));  // beyond 4: car gives up its first
  EXPECT_EQ(Serving("car"), 2U);
  context::ContextLayout large = kLayout;
  large.tokens = 2 * kLayout.tokens;
  ASSERT_TRUE(Publish(300'000, "car", large));  // needs what van retains as well
  EXPECT_EQ(Serving("car"), 3U);
  EXPECT_EQ(Serving("van"), 3U);
  EXPECT_EQ(Retained("van"), 1U);
  large.tokens = 4 * kLayout.tokens;
  ASSERT_TRUE(Publish(400'000, "car", large));  // never fits beside the others' last
  EXPECT_EQ(rejection_metrics_.reasons, std::vector<std::string>{"memory_process"});
  EXPECT_EQ(Serving("car"), 3U);
  EXPECT_EQ(Serving("van"), 3U);
}

TEST_F(MemoryBudgetEngineTest, APinnedVersionIsNotTakenFromItsClient) {
  StartWith(100 * kVersionBytes, 2 * kVersionBytes);
  Open("car", OptionsOf(TimeMode::kRealtime));
  ASSERT_TRUE(Publish(100'000));
  const auto pinned = engine_->PinContext("car", car_lease_, std::nullopt, 10'000'000);
  ASSERT_TRUE(pinned.ok()) << pinned.status();
  ASSERT_TRUE(Publish(200'000));
  ASSERT_TRUE(Publish(300'000));  // version 1 is pinned and 2 serves: nothing to give up
  EXPECT_EQ(Serving(), 2U);
  EXPECT_EQ(rejection_metrics_.reasons, std::vector<std::string>{"memory_session"});
  ASSERT_TRUE(engine_->ReleaseContext("car", car_lease_, pinned->context_lease).ok());
  ASSERT_TRUE(Publish(400'000));
  EXPECT_EQ(Serving(), 4U);
}

TEST_F(MemoryBudgetEngineTest, AfterTheLaneFoundNoBufferTheSessionKeepsItsLastAlone) {
  StartWith(100 * kVersionBytes, 0);
  Open("car", OptionsOf(TimeMode::kRealtime));
  for (int version = 1; version <= 3; ++version) ASSERT_TRUE(Publish(version * 100'000));
  ASSERT_EQ(Retained(), 3U);
  channel_.FailRefresh(400'000, absl::ResourceExhaustedError("kv buffer refused"));
  EXPECT_EQ(Retained(), 1U);
  EXPECT_EQ(Serving(), 3U);
}

TEST_F(MemoryBudgetEngineTest, ClosingASessionGivesItsBytesBack) {
  StartWith(100 * kVersionBytes, 0);
  Open("car", OptionsOf(TimeMode::kRealtime));
  ASSERT_TRUE(Publish(100'000));
  EXPECT_EQ(engine_->memory_stats().used_bytes, kVersionBytes);
  ASSERT_TRUE(engine_->CloseSession("car", car_lease_).ok());
  EXPECT_TRUE(Eventually([&] { return engine_->memory_stats().used_bytes == 0; }));
  EXPECT_EQ(engine_->memory_stats().sessions, 0U);
}

}  // namespace
}  // namespace automot::planning
