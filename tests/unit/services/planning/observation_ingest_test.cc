// Ingest alone: what is refused leaves no trace, what is accepted is prepared once.
#include "services/planning/observation_ingest.h"

#include <limits>

#include "tests/unit/services/planning/engine_fixture.h"

namespace automot::planning {
namespace {

using ::testing::HasSubstr;

class ObservationIngestTest : public ::testing::Test {
 protected:
  explicit ObservationIngestTest(OnMissingModality missing = OnMissingModality::kReject)
      : ingest_(Options(missing), lidar::HistogramBuilder::Create().value()) {}

  static SessionOptions Options(OnMissingModality missing) {
    SessionOptions options = OptionsOf(TimeMode::kRealtime);
    options.on_missing_modality = missing;
    return options;
  }

  absl::StatusOr<IngestedObservation> Take(const Observation& observation) {
    return ingest_.Take(observation, expert_.info(), 7, 3, ++sequence_);
  }
  // The refusal's message. The ingest is where it was: the same time is still the newest.
  std::string Refusal(const Observation& observation) {
    const std::optional<SessionTimeUs> before = ingest_.newest_time_us();
    const auto taken = Take(observation);
    EXPECT_EQ(taken.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(ingest_.newest_time_us(), before);
    return std::string(taken.status().message());
  }
  static LidarMeasurement Points(SessionTimeUs time_us, std::vector<float> xyz, bool half) {
    auto points = std::make_shared<LidarPoints>();
    points->capture_time_us = time_us;
    points->xyz = std::move(xyz);
    return {.points = points, .half_sweep = half};
  }
  static int Count(const LidarHistogram& histogram) {
    int sum = 0;
    for (const uint8_t count : histogram.counts) sum += count;
    return sum;
  }

  FakeActionExpert expert_;
  ObservationIngest ingest_;
  uint64_t sequence_ = 0;
};

class FlaggingIngestTest : public ObservationIngestTest {
 protected:
  FlaggingIngestTest() : ObservationIngestTest(OnMissingModality::kFlag) {}
};

TEST_F(ObservationIngestTest, RefusesTimeThatRunsBackwards) {
  ASSERT_TRUE(Take(SeenAt(1'000'000)).ok());
  EXPECT_THAT(Refusal(SeenAt(999'999)), HasSubstr("observation.capture_time_us is 999999"));
  EXPECT_TRUE(Take(SeenAt(1'000'000)).ok()) << "standing time is legal";
}

TEST_F(ObservationIngestTest, FlagsAJumpAndGoesOn) {
  ASSERT_TRUE(Take(SeenAt(0)).ok());
  EXPECT_FALSE(Take(SeenAt(2'000'000))->reasons.Has(Reason::kTimeJump));
  EXPECT_TRUE(Take(SeenAt(4'000'001))->reasons.Has(Reason::kTimeJump));
  EXPECT_FALSE(Take(SeenAt(4'050'000))->reasons.Has(Reason::kTimeJump));
}

TEST_F(ObservationIngestTest, RefusesAPictureOfAnotherSize) {
  Observation seen = SeenAt(0);
  seen.camera_frames = {FrameAt(-50'000, 16, 4), FrameAt(0)};
  EXPECT_THAT(Refusal(seen), HasSubstr("camera_images[0] is 16x4; the checkpoint's camera is 8x4"));
  seen.camera_frames = {FrameAt(-50'000), FrameAt(0, 8, 5)};
  EXPECT_THAT(Refusal(seen), HasSubstr("camera_images[1] is 8x5"));
  EXPECT_TRUE(Take(SeenAt(0)).ok());
}

TEST_F(ObservationIngestTest, RefusesPointsThatAreNotFinite) {
  Observation seen = SeenAt(0);
  seen.lidar = Points(0, {1.0F, std::numeric_limits<float>::quiet_NaN(), 0.0F}, false);
  EXPECT_THAT(Refusal(seen), HasSubstr("nan"));
  EXPECT_TRUE(Take(SeenAt(0)).ok());
}

TEST_F(ObservationIngestTest, RefusesABevFeatureOfAnotherModel) {
  Observation seen = SeenAt(0);
  seen.bev_feature = std::make_shared<const BevFeature>(BevFeature{.channels = 3});
  EXPECT_THAT(Refusal(seen), HasSubstr("bev_feature.channels is 3; the checkpoint's is 2"));
}

TEST_F(ObservationIngestTest, RefusesWhatIsMissingWhereTheSessionSaysSo) {
  Observation blind = SeenAt(0);
  blind.camera_frames.clear();
  EXPECT_THAT(Refusal(blind), HasSubstr("observation.camera_images is missing"));
  Observation no_lidar = SeenAt(0);
  no_lidar.lidar.reset();
  EXPECT_THAT(Refusal(no_lidar), HasSubstr("observation.lidar is missing and the session's "
                                           "on_missing_modality is REJECT"));
  ASSERT_TRUE(Take(SeenAt(0)).ok());
  blind.capture_time_us = 50'000;
  const auto later = Take(blind);
  ASSERT_TRUE(later.ok()) << "between two frames the newest one is used";
  EXPECT_EQ(later->camera_age_us, 50'000);
  EXPECT_EQ(later->slow, nullptr) << "a refresh needs a frame";
}

TEST_F(FlaggingIngestTest, GoesOnWithoutCameraAndLidar) {
  Observation nothing = SeenAt(0);
  nothing.camera_frames.clear();
  nothing.lidar.reset();
  const auto taken = Take(nothing);
  ASSERT_TRUE(taken.ok()) << taken.status();
  EXPECT_TRUE(taken->reasons.Has(Reason::kNoLidar));
  EXPECT_EQ(taken->camera.image, nullptr);
  EXPECT_EQ(taken->lidar, nullptr);
  EXPECT_FALSE(taken->camera_age_us || taken->lidar_age_us);
}

TEST_F(FlaggingIngestTest, NoLidarAndALidarThatSawNothingDiffer) {
  const auto saw_nothing = Take(SeenAt(0));
  EXPECT_FALSE(saw_nothing->reasons.Has(Reason::kNoLidar));
  ASSERT_NE(saw_nothing->lidar, nullptr);
  EXPECT_EQ(saw_nothing->lidar->counts.size(), size_t{kLidarBins} * kLidarBins);
  EXPECT_EQ(Count(*saw_nothing->lidar), 0);
  Observation none = SeenAt(50'000);
  none.lidar.reset();
  EXPECT_TRUE(Take(none)->slow->reasons.Has(Reason::kNoLidar)) << "the slow path is told";
}

TEST_F(ObservationIngestTest, MergesTwoHalvesMovedIntoTheCurrentFrame) {
  Observation first = SeenAt(0);
  first.ego.pose = Pose2{{0.0, 0.0}, 0.0};
  first.lidar = Points(0, {10.0F, 0.0F, 1.0F}, true);
  const auto half = Take(first);
  EXPECT_TRUE(half->reasons.Has(Reason::kHalfSweep));
  EXPECT_EQ(Count(*half->lidar), 1);

  Observation second = SeenAt(50'000);
  second.ego.pose = Pose2{{4.0, 0.0}, 0.0};
  second.lidar = Points(50'000, {-5.0F, 0.0F, 1.0F}, true);
  const auto whole = Take(second);
  EXPECT_FALSE(whole->reasons.Has(Reason::kHalfSweep));
  EXPECT_EQ(Count(*whole->lidar), 2);
  const auto at = [&](double x, double y) {
    return whole->lidar->counts[static_cast<size_t>((y + 32) * 4) * kLidarBins +
                                static_cast<size_t>((x + 32) * 4)];
  };
  EXPECT_EQ(at(6.0, 0.0), 1) << "4 m nearer";
  EXPECT_EQ(at(-5.0, 0.0), 1);
}

TEST_F(ObservationIngestTest, AHalfIsAHalfAfterAGapAJumpOrWithoutAPose) {
  const auto half_at = [&](SessionTimeUs time_us) {
    Observation seen = SeenAt(time_us);
    seen.lidar = Points(time_us, {10.0F, 0.0F, 1.0F}, true);
    return seen;
  };
  const auto is_half = [&](const Observation& seen) {
    const auto taken = Take(seen);
    EXPECT_TRUE(taken.ok()) << taken.status();
    return taken.ok() && taken->reasons.Has(Reason::kHalfSweep);
  };
  EXPECT_TRUE(is_half(half_at(0)));
  EXPECT_FALSE(is_half(half_at(50'000)));
  EXPECT_FALSE(is_half(SeenAt(100'000)));
  EXPECT_TRUE(is_half(half_at(150'000))) << "the tick before brought none";
  EXPECT_TRUE(is_half(half_at(2'200'000))) << "the other half is of another place";
  Observation lost = half_at(2'250'000);
  lost.ego.pose.reset();
  EXPECT_TRUE(is_half(lost)) << "not alignable";
  EXPECT_TRUE(is_half(half_at(2'300'000)));
}

TEST_F(ObservationIngestTest, AHistogramOfHalfASweepIsFlagged) {
  Observation seen = SeenAt(0);
  auto histogram = std::make_shared<LidarHistogram>();
  histogram->counts.assign(size_t{kLidarBins} * kLidarBins, 1);
  histogram->half_sweep = true;
  seen.lidar = LidarMeasurement{.histogram = histogram};
  const auto taken = Take(seen);
  EXPECT_TRUE(taken->reasons.Has(Reason::kHalfSweep));
  EXPECT_EQ(taken->lidar, histogram) << "no copy";
}

TEST_F(ObservationIngestTest, ReportsAgesApartAndFlagsSkewAbove100Milliseconds) {
  Observation seen = SeenAt(1'000'000);
  seen.camera_frames = {FrameAt(900'000)};
  seen.lidar = Points(1'030'000, {}, false);
  const auto even = Take(seen);
  EXPECT_EQ(even->camera_age_us, 100'000);
  EXPECT_EQ(even->lidar_age_us, -30'000);
  EXPECT_FALSE(even->reasons.Has(Reason::kModalitySkew));
  seen.camera_frames = {FrameAt(900'001)};
  seen.capture_time_us = 1'000'002;
  EXPECT_TRUE(Take(seen)->reasons.Has(Reason::kModalitySkew));
  seen = SeenAt(1'050'000);
  seen.lidar = Points(1'150'001, {}, false);
  EXPECT_TRUE(Take(seen)->reasons.Has(Reason::kModalitySkew));
}

TEST_F(ObservationIngestTest, ALateFrameCompletesTheHistoryOnly) {
  ASSERT_TRUE(Take(SeenAt(100'000)).ok());
  Observation late = SeenAt(150'000);
  late.camera_frames = {FrameAt(50'000)};
  const auto taken = Take(late);
  EXPECT_EQ(taken->camera.capture_time_us, 100'000);
  ASSERT_NE(taken->slow, nullptr);
  EXPECT_EQ(taken->slow->frames.back()->capture_time_us, 50'000);
}

TEST_F(ObservationIngestTest, AFrameThatWasNoJpegPassesTheRoundTripOnce) {
  Observation seen = SeenAt(0);
  seen.camera_frames[0].was_jpeg = false;
  const auto raw = Take(seen);
  EXPECT_NE(raw->camera.image, seen.camera_frames[0].image);
  EXPECT_EQ(raw->slow->frames[0]->image, seen.camera_frames[0].image)
      << "the slow path gets it raw";
  const auto jpeg = Take(SeenAt(50'000));
  EXPECT_EQ(jpeg->slow->frames[0]->image, jpeg->camera.image);
}

TEST_F(ObservationIngestTest, AnExpertThatDidNotLearnFromJpegSeesTheFrameAsItWasSent) {
  ActionExpertInfo model = expert_.info();
  model.learnt_from_jpeg = false;
  Observation seen = SeenAt(0);
  seen.camera_frames[0].was_jpeg = false;
  EXPECT_EQ(ingest_.Take(seen, model, 7, 3, 1)->camera.image, seen.camera_frames[0].image);
}

TEST_F(ObservationIngestTest, TheSlowObservationIsNamedAndComplete) {
  Observation seen = SeenAt(50'000);
  seen.camera_frames = {FrameAt(0), FrameAt(50'000)};
  seen.target.route_revision = 9;
  const context::SlowObservationPtr slow = Take(seen)->slow;
  EXPECT_EQ(slow->session, 7U);
  EXPECT_EQ(slow->episode, 3U);
  EXPECT_EQ(slow->sequence, 1U);
  ASSERT_EQ(slow->frames.size(), 2U);
  EXPECT_EQ(slow->target.route_revision, 9U);
  EXPECT_EQ(slow->ego.speed_mps, 5.0);
  EXPECT_NE(slow->lidar, nullptr);
  EXPECT_FALSE(slow->history_only);
  EXPECT_FALSE(slow->urgent);
}

TEST_F(ObservationIngestTest, AChangedRouteHurriesTheNextRefreshThatHasAFrame) {
  ASSERT_TRUE(Take(SeenAt(0)).ok());
  Observation rerouted = SeenAt(50'000);
  rerouted.target.route_revision = 1;
  rerouted.camera_frames.clear();
  ASSERT_TRUE(Take(rerouted).ok());
  Observation next = SeenAt(100'000);
  next.target.route_revision = 1;
  EXPECT_TRUE(Take(next)->slow->urgent);
  next = SeenAt(150'000);
  next.target.route_revision = 1;
  EXPECT_FALSE(Take(next)->slow->urgent) << "once";
}

}  // namespace
}  // namespace automot::planning
