#include "tools/loadgen/answer_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

namespace automot::loadgen {
namespace {

namespace v1 = automot::v1;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr char kCar[] = "car";

SentTick TickAt(uint64_t sequence, int64_t time_us, uint64_t picture = 0) {
  SentTick tick{.sequence = sequence, .episode = 1};
  tick.facts.capture_time_us = time_us;
  tick.facts.speed_mps = 5.0 + static_cast<double>(sequence);
  tick.facts.camera = tick.context_camera = picture;
  tick.has_camera = picture != 0;
  return tick;
}

// As a synthetic server answers `tick` with the context of `source`, whose picture was `camera` at
// the expert.
v1::PlanResponse AnswerTo(const SentTick& tick, const SentTick& source, uint64_t camera,
                          const std::string& session = kCar) {
  v1::PlanResponse answer;
  answer.set_session(kCar);
  answer.set_sequence(tick.sequence);
  answer.set_episode(tick.episode);
  answer.set_capture_time_us(tick.facts.capture_time_us);
  v1::PlanProvenance* provenance = answer.mutable_provenance();
  provenance->mutable_snapshot()->set_session(kCar);
  provenance->mutable_snapshot()->set_episode(source.episode);
  provenance->mutable_snapshot()->set_version(4);
  provenance->set_snapshot_capture_time_us(source.facts.capture_time_us);
  synthetic::TickFacts facts = tick.facts;
  facts.camera = camera;
  const synthetic::ContextFacts context{.session = synthetic::ChecksumOf(session),
                                        .version = 4,
                                        .capture_time_us = source.facts.capture_time_us,
                                        .frame = source.context_camera,
                                        .speed_mps = source.facts.speed_mps,
                                        .episode = source.episode};
  const Trajectory trajectory = synthetic::CarryProof(ProveInputs(facts, context), 5.0);
  for (const Vec2& point : trajectory.route) {
    v1::Vec2* proto = answer.mutable_trajectory()->add_route();
    proto->set_x(point.x);
    proto->set_y(point.y);
  }
  return answer;
}

class AnswerCheckTest : public ::testing::Test {
 protected:
  AnswerCheckTest() {
    check_.Sent(first_);
    check_.Sent(second_);
  }
  AnswerCheck::Verdict Check(const v1::PlanResponse& answer) const {
    return check_.Check(second_, answer, /*synthetic=*/true);
  }

  const SentTick first_ = TickAt(1, 100, 77), second_ = TickAt(2, 200);
  AnswerCheck check_{kCar};
};

TEST_F(AnswerCheckTest, OwnAnswerIsProven) {
  const auto verdict = Check(AnswerTo(second_, first_, 77));
  EXPECT_THAT(verdict.wrong, IsEmpty());
  EXPECT_TRUE(verdict.proven);
}

TEST_F(AnswerCheckTest, PictureThatWasLostOnItsWayIsNoError) {
  EXPECT_THAT(Check(AnswerTo(second_, first_, synthetic::kAbsent)).wrong, IsEmpty());
  EXPECT_THAT(Check(AnswerTo(second_, first_, 78)).wrong, Contains("proof.camera"));
}

TEST_F(AnswerCheckTest, EachFieldOfAnothersIdentityIsNamed) {
  const std::vector<std::pair<const char*, std::function<void(v1::PlanResponse&)>>> changes = {
      {"session", [](auto& a) { a.set_session("other"); }},
      {"sequence", [](auto& a) { a.set_sequence(9); }},
      {"episode", [](auto& a) { a.set_episode(2); }},
      {"capture_time_us", [](auto& a) { a.set_capture_time_us(201); }},
      {"snapshot.session",
       [](auto& a) { a.mutable_provenance()->mutable_snapshot()->set_session("other"); }},
      {"snapshot.episode",
       [](auto& a) { a.mutable_provenance()->mutable_snapshot()->set_episode(2); }},
  };
  for (const auto& [field, change] : changes) {
    v1::PlanResponse answer = AnswerTo(second_, first_, 77);
    change(answer);
    EXPECT_THAT(Check(answer).wrong, ElementsAre(field));
  }
}

TEST_F(AnswerCheckTest, AnswerOfAnotherObservationIsWrong) {
  SentTick other = second_;
  other.facts.speed_mps += 1.0;
  EXPECT_THAT(Check(AnswerTo(other, first_, 77)).wrong, ElementsAre("proof.speed", "proof.whole"));
}

TEST_F(AnswerCheckTest, ContextOfAnotherSessionOrPictureIsWrong) {
  EXPECT_THAT(Check(AnswerTo(second_, first_, 77, "other car")).wrong,
              Contains("proof.context_session"));
  SentTick source = first_;
  source.context_camera = 79;
  EXPECT_THAT(Check(AnswerTo(second_, source, 77)).wrong, Contains("proof.context_frame"));
  EXPECT_THAT(Check(AnswerTo(second_, TickAt(7, 150, 77), 77)).wrong, Not(IsEmpty()))
      << "of a picture that was never sent";
}

TEST_F(AnswerCheckTest, ContextOfAnEarlierSessionUnderTheNameIsWrong) {
  check_.Forget();
  check_.Sent(second_);
  EXPECT_THAT(Check(AnswerTo(second_, first_, 77)).wrong, Not(IsEmpty()));
}

TEST_F(AnswerCheckTest, FallbackAndModelsCarryNoProof) {
  v1::PlanResponse fallback = AnswerTo(second_, first_, 77);
  fallback.clear_trajectory();
  EXPECT_THAT(check_.Check(second_, fallback, /*synthetic=*/false).wrong, IsEmpty());
  fallback.mutable_provenance()->add_reasons(v1::REASON_FALLBACK);
  const auto verdict = Check(fallback);
  EXPECT_THAT(verdict.wrong, IsEmpty());
  EXPECT_FALSE(verdict.proven);
}

TEST(AnswerCheck, ForgottenTicksAreNoErrors) {
  AnswerCheck check(kCar, /*capacity=*/1);
  const SentTick first = TickAt(1, 100, 77), second = TickAt(2, 200);
  check.Sent(first);
  check.Sent(second);
  const auto verdict = check.Check(second, AnswerTo(second, first, 77), /*synthetic=*/true);
  EXPECT_THAT(verdict.wrong, IsEmpty());
  EXPECT_FALSE(verdict.proven);
}

}  // namespace
}  // namespace automot::loadgen
