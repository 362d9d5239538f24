// Which lane a planner starts with: what it finds out by trying, and what it does when told.
#include "services/planning/lane/lane_choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/logging/log.h"
#include "tests/integration/reasoning/lane_fixture.h"

namespace automot {
namespace {

using context::Lane;
using ::testing::HasSubstr;

class LaneChoiceTest : public LaneTest {
 protected:
  Lane lane() const override { return Lane::kSharedMemory; }
  LaneChoiceTest() {
    logging::SetSink([this](std::string_view line) { log_ += std::string(line) + "\n"; });
  }
  ~LaneChoiceTest() override {
    process_.reset();
    logging::SetSink(nullptr);
  }
  absl::StatusOr<planning::LaneChoice> Choose(std::optional<Lane> wanted,
                                              std::vector<std::string> addresses) const {
    planning::GrpcSnapshotChannelOptions options;
    options.addresses = std::move(addresses);
    return planning::ChooseLane(wanted, options, absl::Milliseconds(500));
  }

  std::string log_;
};

TEST_F(LaneChoiceTest, SharedMemoryWhereItsTrialPasses) {
  StartReasoning();
  const auto choice = Choose(std::nullopt, {process_->address()});
  ASSERT_TRUE(choice.ok()) << choice.status();
  EXPECT_EQ(choice->lane, Lane::kSharedMemory);
  EXPECT_THAT(log_, HasSubstr(R"("event":"context_lane","lane":"shared_memory","wanted":"auto")"));
  EXPECT_EQ(Choose(Lane::kSharedMemory, {process_->address()})->lane, Lane::kSharedMemory);
}

TEST_F(LaneChoiceTest, GrpcWhereAProducerOffersNoSharedMemoryAndTheReasonIsSaid) {
  StartReasoning();
  const ReasoningProcess without(control_, "127.0.0.1:0");
  const auto choice = Choose(std::nullopt, {process_->address(), without.address()});
  ASSERT_TRUE(choice.ok());
  EXPECT_EQ(choice->lane, Lane::kGrpc);
  EXPECT_THAT(choice->reason, HasSubstr(without.address()));
  EXPECT_THAT(log_, HasSubstr("announces no shared-memory socket"));
  const auto demanded = Choose(Lane::kSharedMemory, {process_->address(), without.address()});
  EXPECT_TRUE(absl::IsFailedPrecondition(demanded.status()));
  EXPECT_THAT(std::string(demanded.status().message()), HasSubstr(without.address()));
}

TEST_F(LaneChoiceTest, ASocketOfThatNameThatIsAnothersDoesNotPass) {
  StartReasoning();
  const std::string socket = folder_.folder() + "/" + std::to_string(sockets_);
  // As on two machines: the announced path is here, and somebody else listens there.
  ASSERT_EQ(unlink(socket.c_str()), 0);
  const auto other = shared_memory::RegionServer::Start({.path = socket}).value();
  const auto choice = Choose(std::nullopt, {process_->address()});
  ASSERT_TRUE(choice.ok());
  EXPECT_EQ(choice->lane, Lane::kGrpc);
  EXPECT_THAT(choice->reason, HasSubstr("another producer"));
}

TEST_F(LaneChoiceTest, GrpcIsNotTriedAndAProducerThatIsAwayDoesNotPass) {
  EXPECT_EQ(Choose(Lane::kGrpc, {"127.0.0.1:1"})->lane, Lane::kGrpc);
  EXPECT_EQ(Choose(std::nullopt, {"127.0.0.1:1"})->lane, Lane::kGrpc);
  EXPECT_FALSE(Choose(Lane::kSharedMemory, {"127.0.0.1:1"}).ok());
}

}  // namespace
}  // namespace automot
