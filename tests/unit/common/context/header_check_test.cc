#include "common/context/header_check.h"

#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/common/context/snapshot_fixture.h"

namespace automot::context {
namespace {

using testing::HasSubstr;

struct Case {
  const char* what;  // must appear in the message
  HeaderRefusal refusal;
  absl::StatusCode code;
  std::function<void(SnapshotHeader&)> change;
};

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

TEST(HeaderCheck, AcceptsTheExpectedHeaderWithAnyNumberOfTokens) {
  EXPECT_TRUE(CheckHeader(SmallHeader(), SmallExpectation()).status.ok());
  SnapshotHeader longer = SmallHeader();
  longer.layout.tokens += 10;
  EXPECT_TRUE(CheckHeader(longer, SmallExpectation()).status.ok());
  EXPECT_TRUE(CheckHeader(SmallHeader(), {.session = 9, .episode = 2, .epoch = 40}).status.ok());
}

TEST(HeaderCheck, RefusesEachDifferenceByFieldAndKind) {
  using R = HeaderRefusal;
  using C = absl::StatusCode;
  const std::vector<Case> cases = {
      {"version", R::kMalformed, C::kInvalidArgument, [](auto& h) { h.id.version = 0; }},
      {"layers", R::kMalformed, C::kInvalidArgument, [](auto& h) { h.layout.layers = -4; }},
      {"capture_time_us", R::kMalformed, C::kInvalidArgument,
       [](auto& h) { h.capture_time_us = std::numeric_limits<SessionTimeUs>::max(); }},
      {"capture_time_us", R::kMalformed, C::kInvalidArgument,
       [](auto& h) { h.capture_time_us = std::numeric_limits<SessionTimeUs>::min(); }},
      {"frame_capture_times_us", R::kMalformed, C::kInvalidArgument,
       [](auto& h) { h.frame_capture_times_us.resize(65); }},
      {"position_start", R::kMalformed, C::kInvalidArgument, [](auto& h) { h.position_start = 0; }},
      {"speed_mps", R::kMalformed, C::kInvalidArgument, [](auto& h) { h.prompt.speed_mps = kNan; }},
      {"target_points", R::kMalformed, C::kInvalidArgument,
       [](auto& h) { h.prompt.target_points[1].y = kNan; }},
      {"yaw_rad", R::kMalformed, C::kInvalidArgument,
       [](auto& h) { h.prompt.pose->yaw_rad = kNan; }},
      {"model_revision", R::kMalformed, C::kInvalidArgument,
       [](auto& h) { h.model_revision.assign(257, 'x'); }},
      {"session", R::kWrongSession, C::kInvalidArgument, [](auto& h) { h.id.session = 1; }},
      {"episode", R::kWrongEpisode, C::kAborted, [](auto& h) { h.id.episode = 1; }},
      {"epoch", R::kWrongEpoch, C::kAborted, [](auto& h) { h.id.epoch = 39; }},
      {"model_revision", R::kWrongRevision, C::kFailedPrecondition,
       [](auto& h) { h.model_revision = "other"; }},
      {"prompt_template", R::kWrongShape, C::kFailedPrecondition,
       [](auto& h) { h.prompt_template = "other"; }},
      {"instruction_mask", R::kWrongShape, C::kFailedPrecondition,
       [](auto& h) { h.instruction_mask = "bidirectional"; }},
      {"history_spacing_s", R::kWrongShape, C::kFailedPrecondition,
       [](auto& h) { h.history_spacing_s = 0.25; }},
      {"layout", R::kWrongShape, C::kFailedPrecondition,
       [](auto& h) { h.layout.kind = ContextLayout::Kind::kFull; }},
      {"layout", R::kWrongShape, C::kFailedPrecondition,
       [](auto& h) { h.layout.element_type = ContextLayout::ElementType::kBFloat16; }},
  };
  for (const Case& c : cases) {
    SnapshotHeader header = SmallHeader();
    c.change(header);
    const HeaderVerdict verdict = CheckHeader(header, SmallExpectation());
    EXPECT_EQ(verdict.refusal, c.refusal) << c.what;
    EXPECT_EQ(verdict.status.code(), c.code) << c.what;
    EXPECT_THAT(std::string(verdict.status.message()), HasSubstr(c.what));
  }
}

TEST(HeaderCheck, RefusesDecisionsOutOfRange) {
  EXPECT_TRUE(CheckDecision(SmallDecision()).ok());
  Decision decision = SmallDecision();
  decision.slot_count = 4;
  EXPECT_FALSE(CheckDecision(decision).ok());
  decision = SmallDecision();
  decision.slots[0].probability = 1.5F;
  EXPECT_FALSE(CheckDecision(decision).ok());
  decision.slots[0].probability = std::numeric_limits<float>::quiet_NaN();
  EXPECT_FALSE(CheckDecision(decision).ok());
}

}  // namespace
}  // namespace automot::context
