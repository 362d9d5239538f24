// Every bad request gets the right code and a message that names the field, the value and the
// limit; the session itself and the other vehicles are planned for as if it had not come.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <optional>

#include "common/image/encode.h"
#include "tests/integration/planning/planning_fixture.h"

namespace automot {
namespace {

using ::testing::HasSubstr;
using Stub = v1::PlanningService::Stub;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

std::string Jpeg(int width, int height) {
  const RgbImage image{.width = width,
                       .height = height,
                       .pixels = std::vector<uint8_t>(static_cast<size_t>(width) * height * 3, 90)};
  return *image::EncodeJpeg(image);
}

// A PNG's signature and header, which claims `width` x `height` pixels, and nothing after it.
std::string PngHeader(uint32_t width, uint32_t height) {
  std::string png("\x89PNG\r\n\x1a\n\0\0\0\rIHDR", 16);
  for (const uint32_t side : {width, height}) {
    for (int shift = 24; shift >= 0; shift -= 8) png.push_back(static_cast<char>(side >> shift));
  }
  return png + std::string("\x08\x02\0\0\0\0\0\0\0", 9);
}

class PlanningBadInputTest : public PlanningTest {
 protected:
  void Start(const PlanningProcess::Options& options = {}) {
    StartInProcess(options);
    victim_.emplace(OpenWithContext("victim"));
    other_.emplace(OpenWithContext("other"));
  }
  v1::PlanRequest Next() { return victim_->RequestAt(time_us_ += 1000); }
  void ExpectRefused(const v1::PlanRequest& request, grpc::StatusCode code,
                     const std::string& text) {
    v1::PlanResponse response;
    const grpc::Status status = victim_->Send(request, &response);
    EXPECT_EQ(status.error_code(), code) << status.error_message();
    EXPECT_THAT(status.error_message(), HasSubstr(text));
    ExpectBothGoOn();
  }
  // Both vehicles get the plan that they would have got anyway: on the context, without a flag
  // that a bad neighbour could have caused.
  void ExpectBothGoOn() {
    time_us_ += 1000;
    for (Car* car : {&*victim_, &*other_}) {
      const v1::PlanResponse answer = car->PlanAt(time_us_);
      EXPECT_EQ(answer.provenance().reasons_size(), 1);  // the history is one frame long
      EXPECT_TRUE(Has(answer, v1::REASON_SHORT_HISTORY));
      EXPECT_GE(answer.provenance().snapshot().version(), 1U);
    }
  }

  std::optional<Car> victim_, other_;
  int64_t time_us_ = 0;
};

using Edit = std::function<void(v1::Observation*)>;
struct BadObservation {
  const char* name;
  Edit edit;
  const char* text;
};

v1::CameraImage* Image(v1::Observation* o) { return o->mutable_camera_images(0); }
void Encode(v1::Observation* o, v1::ImageEncoding encoding, const std::string& data) {
  Image(o)->set_encoding(encoding);
  Image(o)->set_data(data);
  Image(o)->clear_width();
  Image(o)->clear_height();
}

const std::vector<BadObservation>& BadMotionsAndTargets() {
  static const auto* const cases = new std::vector<BadObservation>{
      {"no time", [](auto* o) { o->clear_capture_time_us(); },
       "observation.capture_time_us is missing"},
      {"absurd time", [](auto* o) { o->set_capture_time_us(std::numeric_limits<int64_t>::max()); },
       "observation.capture_time_us is 9223372036854775807; the limits are -9000000000000000 and "
       "9000000000000000"},
      {"no ego", [](auto* o) { o->clear_ego_state(); }, "observation.ego_state is missing"},
      {"no speed", [](auto* o) { o->mutable_ego_state()->clear_speed_mps(); },
       "ego_state.speed_mps is missing"},
      {"NaN speed", [](auto* o) { o->mutable_ego_state()->set_speed_mps(kNan); },
       "ego_state.speed_mps is nan; it must be -50 to 100"},
      {"absurd speed", [](auto* o) { o->mutable_ego_state()->set_speed_mps(101.0); },
       "ego_state.speed_mps is 101; it must be -50 to 100"},
      {"NaN pose",
       [](auto* o) { o->mutable_ego_state()->mutable_pose()->mutable_position()->set_y(kNan); },
       "ego_state.pose.position"},
      {"NaN heading", [](auto* o) { o->mutable_ego_state()->mutable_pose()->set_yaw_rad(kNan); },
       "ego_state.pose.yaw_rad is nan"},
      {"no position", [](auto* o) { o->mutable_ego_state()->mutable_pose()->clear_position(); },
       "ego_state.pose.position is missing"},
      {"NaN yaw rate", [](auto* o) { o->mutable_ego_state()->set_yaw_rate_radps(kNan); },
       "ego_state.yaw_rate_radps is nan"},
      {"NaN velocity", [](auto* o) { o->mutable_ego_state()->mutable_velocity_mps()->set_x(kNan); },
       "ego_state.velocity_mps"},
      {"no target", [](auto* o) { o->clear_route_target(); },
       "observation.route_target is missing"},
      {"no next target", [](auto* o) { o->mutable_route_target()->clear_next_target_point(); },
       "route_target.next_target_point is missing"},
      {"absurd target",
       [](auto* o) { o->mutable_route_target()->mutable_current_target_point()->set_x(1e300); },
       "route_target.current_target_point is (1e+300, 0); it must be finite, at most 1e+08"},
  };
  return *cases;
}

const std::vector<BadObservation>& BadPictures() {
  static const auto* const cases = new std::vector<BadObservation>{
      {"no time", [](auto* o) { Image(o)->clear_capture_time_us(); },
       "camera_images.capture_time_us is missing"},
      {"wrong raw size", [](auto* o) { Image(o)->set_width(5); },
       "camera_images.data has 96 bytes; RAW_RGB of 5 x 4 has 60"},
      {"absurd raw size", [](auto* o) { Image(o)->set_width(1'000'000); },
       "camera_images.data: size is 1000000x4, each side must be 1..4096"},
      {"unknown encoding",
       [](auto* o) { Image(o)->set_encoding(static_cast<v1::ImageEncoding>(9)); },
       "camera_images.encoding is 9"},
      {"another camera", [](auto* o) { Encode(o, v1::IMAGE_ENCODING_JPEG, Jpeg(16, 8)); },
       "is 16x8; the checkpoint's camera is 8x4"},
      {"said and is",
       [](auto* o) {
         Encode(o, v1::IMAGE_ENCODING_JPEG, Jpeg(8, 4));
         Image(o)->set_width(80);
       },
       "camera_images is 8 x 4 pixels; width and height say 80 x 0"},
      {"cut JPEG",
       [](auto* o) {
         const std::string jpeg = Jpeg(8, 4);
         Encode(o, v1::IMAGE_ENCODING_JPEG, jpeg.substr(0, jpeg.size() / 2));
       },
       "camera_images.data: JPEG of "},
      {"noise for a JPEG",
       [](auto* o) { Encode(o, v1::IMAGE_ENCODING_JPEG, std::string(100, '\x5a')); },
       "camera_images.data: 100 bytes that begin neither as JPEG nor as PNG"},
      {"cut PNG", [](auto* o) { Encode(o, v1::IMAGE_ENCODING_PNG, PngHeader(8, 4)); },
       "camera_images.data: PNG of 33 bytes is damaged"},
      {"PNG that claims to be huge",
       [](auto* o) { Encode(o, v1::IMAGE_ENCODING_PNG, PngHeader(1 << 30, 1 << 30)); },
       "camera_images.data: "},
      {"empty picture", [](auto* o) { Encode(o, v1::IMAGE_ENCODING_UNSPECIFIED, ""); },
       "camera_images.data: 0 bytes"},
      {"nine frames",
       [](auto* o) {
         for (int i = 0; i < 8; ++i) *o->add_camera_images() = o->camera_images(0);
       },
       "camera_images has 9 entries; the limit is 8"},
      {"frames out of order", [](auto* o) { *o->add_camera_images() = o->camera_images(0); },
       "frames come oldest first"},
  };
  return *cases;
}

const std::vector<BadObservation>& BadSweepsAndFeatures() {
  static const auto* const cases = new std::vector<BadObservation>{
      {"no LiDAR", [](auto* o) { o->clear_lidar(); }, "observation.lidar is missing"},
      {"short histogram",
       [](auto* o) { o->mutable_lidar()->mutable_histogram()->set_counts("12"); },
       "lidar.histogram.counts has 2 bytes; it must have 65536"},
      {"half a point", [](auto* o) { o->mutable_lidar()->mutable_points()->set_xyz("12"); },
       "lidar.points.xyz has 2 bytes; it must be at most 1048576 points"},
      {"NaN point",
       [](auto* o) {
         const float point[] = {0.0F, std::numeric_limits<float>::quiet_NaN(), 0.0F};
         o->mutable_lidar()->mutable_points()->set_xyz(point, sizeof(point));
       },
       "lidar.points.xyz holds a coordinate that is not finite"},
      {"too many points",
       [](auto* o) {
         o->mutable_lidar()->mutable_points()->set_xyz(
             std::string(((size_t{1} << 20) + 1) * 12, '\0'));
       },
       "lidar.points.xyz has 12582924 bytes; it must be at most 1048576 points of 12 bytes"},
      {"no channel", [](auto* o) { o->mutable_bev_feature()->set_channels(0); },
       "bev_feature.channels is 0"},
      {"channels of another checkpoint",
       [](auto* o) {
         o->mutable_bev_feature()->set_channels(3);
         o->mutable_bev_feature()->set_values(std::string(3 * 64 * 4, '\0'));
       },
       "observation.bev_feature.channels is 3; the checkpoint's is 2"},
      {"short feature",
       [](auto* o) {
         o->mutable_bev_feature()->set_channels(2);
         o->mutable_bev_feature()->set_values("1234");
       },
       "bev_feature.values has 4 bytes; 2 channels have 512"},
  };
  return *cases;
}

TEST_F(PlanningBadInputTest, ObservationsAreRefusedByFieldValueAndLimit) {
  Start();
  for (const auto* cases : {&BadMotionsAndTargets(), &BadPictures(), &BadSweepsAndFeatures()}) {
    for (const BadObservation& bad : *cases) {
      SCOPED_TRACE(bad.name);
      v1::PlanRequest request = Next();
      bad.edit(request.mutable_observation());
      ExpectRefused(request, grpc::INVALID_ARGUMENT, bad.text);
    }
  }
}

TEST_F(PlanningBadInputTest, RefusedPlanMayComeAgainUnderItsSequence) {
  Start();
  v1::PlanRequest request = Next();
  const v1::PlanRequest good = request;
  request.mutable_observation()->mutable_ego_state()->set_speed_mps(kNan);
  v1::PlanResponse response;
  EXPECT_FALSE(victim_->Send(request, &response).ok());
  EXPECT_TRUE(victim_->Send(good, &response).ok()) << "nothing of the bad one was taken in";
}

TEST_F(PlanningBadInputTest, UnknownSessionAndBadNames) {
  Start();
  v1::PlanRequest request = Next();
  request.set_session("nobody");
  ExpectRefused(request, grpc::NOT_FOUND, "session 'nobody' is not open");
  request.set_session("");
  ExpectRefused(request, grpc::INVALID_ARGUMENT, "session has 0 bytes; expected 1 to 128");
  request.set_session(std::string(5'000'000, 'n'));
  ExpectRefused(request, grpc::INVALID_ARGUMENT, "session has 5000000 bytes; expected 1 to 128");
  v1::GetSessionStatusRequest status;
  status.set_session(std::string(129, 'n'));
  v1::GetSessionStatusResponse response;
  EXPECT_EQ(Call(&Stub::GetSessionStatus, status, &response).error_code(), grpc::INVALID_ARGUMENT);
}

TEST_F(PlanningBadInputTest, TimeGoingBackwards) {
  Start();
  victim_->PlanAt(time_us_ = 50'000);
  other_->PlanAt(50'000);
  ExpectRefused(victim_->RequestAt(49'999), grpc::INVALID_ARGUMENT,
                "observation.capture_time_us is 49999; session time runs forward within an episode "
                "and is at 50000");
}

TEST_F(PlanningBadInputTest, SequencesAndLeases) {
  Start();
  v1::PlanRequest repeated = Next();
  v1::PlanResponse response;
  ASSERT_TRUE(victim_->Send(repeated, &response).ok());
  ExpectRefused(repeated, grpc::ALREADY_EXISTS,
                "sequence " + std::to_string(repeated.sequence()) + " was accepted already");
  repeated.set_sequence(1);
  ExpectRefused(repeated, grpc::INVALID_ARGUMENT, "sequence is 1; it must be above");
  repeated.set_sequence(0);
  ExpectRefused(repeated, grpc::INVALID_ARGUMENT, "sequence is 0; it must be above");
  v1::PlanRequest request = Next();
  request.set_lease(77);
  ExpectRefused(request, grpc::ABORTED, "lease is 77");
}

TEST_F(PlanningBadInputTest, UnknownChoicesOfANewerVersion) {
  Start();
  v1::PlanRequest request = Next();
  request.set_on_expired(static_cast<v1::OnExpired>(99));
  ExpectRefused(request, grpc::INVALID_ARGUMENT, "on_expired is 99");
  request = Next();
  request.mutable_context()->mutable_exactly()->set_version(0);
  ExpectRefused(request, grpc::INVALID_ARGUMENT, "context.exactly.version is 0");
}

TEST_F(PlanningBadInputTest, MissingModalityIsFlaggedWhereTheSessionAsksForIt) {
  StartInProcess();
  v1::SessionOptions options = OptionsOf(v1::TIME_MODE_REALTIME);
  options.set_on_missing_modality(v1::ON_MISSING_MODALITY_FLAG);
  Car car(stub_.get(), "car", options);
  v1::PlanRequest request = car.RequestAt(0);
  request.mutable_observation()->clear_lidar();
  v1::PlanResponse answer;
  ASSERT_TRUE(car.Send(request, &answer).ok());
  EXPECT_TRUE(Has(answer, v1::REASON_NO_LIDAR));
  EXPECT_FALSE(answer.provenance().ages().has_lidar_us());
}

TEST_F(PlanningBadInputTest, FirstObservationNeedsACameraAndLaterOnesMayGoWithout) {
  StartInProcess();
  Car car = Open("car");
  v1::PlanRequest request = car.RequestAt(0);
  request.mutable_observation()->clear_camera_images();
  v1::PlanResponse answer;
  const grpc::Status status = car.Send(request, &answer);
  EXPECT_EQ(status.error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("observation.camera_images is missing"));
  car.PlanAt(0);
  request = car.RequestAt(150'000);
  request.mutable_observation()->clear_camera_images();
  ASSERT_TRUE(car.Send(request, &answer).ok());
  EXPECT_EQ(answer.provenance().ages().camera_us(), 150'000);
  EXPECT_TRUE(Has(answer, v1::REASON_MODALITY_SKEW));
}

TEST_F(PlanningBadInputTest, MessageBeyondTheLimitIsRefusedAndEndsNothingElse) {
  PlanningProcess::Options options;
  options.server.limits.max_message_bytes = 1 << 20;
  Start(options);
  v1::PlanRequest request = Next();
  Encode(request.mutable_observation(), v1::IMAGE_ENCODING_JPEG, std::string(2 << 20, '\x11'));
  ExpectRefused(request, grpc::RESOURCE_EXHAUSTED, "vs. 1048576");

  grpc::ClientContext call;
  SetPatience(&call);
  const auto stream = stub_->StreamPlans(&call);
  v1::StreamPlansRequest large;
  *large.mutable_plan() = request;
  stream->Write(large);
  v1::StreamPlansResponse response;
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_EQ(stream->Finish().error_code(), grpc::RESOURCE_EXHAUSTED);
  ExpectBothGoOn();
}

TEST_F(PlanningBadInputTest, SessionOptionsAreCheckedBeforeASessionIsMade) {
  StartInProcess();
  using EditOptions = std::function<void(v1::SessionOptions*)>;
  const std::vector<std::pair<EditOptions, std::string>> cases = {
      {[](auto* o) { o->clear_planning_rate_hz(); }, "options.planning_rate_hz is 0"},
      {[](auto* o) { o->set_planning_rate_hz(kNan); }, "options.planning_rate_hz is nan"},
      {[](auto* o) { o->set_planning_rate_hz(1001); },
       "options.planning_rate_hz is 1001; the limits are above 0 and at most 1000 Hz"},
      {[](auto* o) { o->set_reasoning_rate_hz(101); },
       "options.reasoning_rate_hz is 101; the limits are above 0 and at most 100 Hz"},
      {[](auto* o) { o->set_simulated_latency_us(1); },
       "options.simulated_latency_us is 1 us; it needs time_mode STEPPED"},
      {[](auto* o) {
         o->set_time_mode(v1::TIME_MODE_STEPPED);
         o->set_simulated_latency_us(10'000'001);
       },
       "options.simulated_latency_us is 10000001 us; the limits are 0 and 10000000 us"},
      {[](auto* o) {
         o->set_time_mode(v1::TIME_MODE_LOCKSTEP);
         o->set_lockstep_ticks(1001);
       },
       "options.lockstep_ticks is 1001; the limits are 1 and 1000"},
      {[](auto* o) { o->set_hard_staleness_us(400'000); }, "options.hard_staleness_us is 400000"},
      {[](auto* o) { o->set_soft_staleness_us(-1); }, "options.soft_staleness_us is -1"},
      {[](auto* o) { o->set_retention_us(1); }, "options.retention_us is 1"},
      {[](auto* o) { o->set_time_mode(static_cast<v1::TimeMode>(9)); }, "options.time_mode is 9"},
      {[](auto* o) { o->set_on_expired(static_cast<v1::OnExpired>(9)); },
       "options.on_expired is 9"},
      {[](auto* o) { o->set_on_route_change(static_cast<v1::OnRouteChange>(9)); },
       "options.on_route_change is 9"},
      {[](auto* o) { o->set_on_missing_modality(static_cast<v1::OnMissingModality>(9)); },
       "options.on_missing_modality is 9"},
      {[](auto* o) { o->set_on_no_context(static_cast<v1::OnNoContext>(9)); },
       "options.on_no_context is 9"},
  };
  v1::OpenSessionRequest request;
  v1::OpenSessionResponse response;
  request.set_session("car");
  for (const auto& [edit, text] : cases) {
    SCOPED_TRACE(text);
    *request.mutable_options() = OptionsOf(v1::TIME_MODE_REALTIME);
    edit(request.mutable_options());
    const grpc::Status status = Call(&Stub::OpenSession, request, &response);
    EXPECT_EQ(status.error_code(), grpc::INVALID_ARGUMENT);
    EXPECT_THAT(status.error_message(), HasSubstr(text));
  }
  *request.mutable_options() = OptionsOf(v1::TIME_MODE_REALTIME);
  request.mutable_options()->set_required_model_revision("another");
  grpc::Status status = Call(&Stub::OpenSession, request, &response);
  EXPECT_EQ(status.error_code(), grpc::FAILED_PRECONDITION);
  EXPECT_THAT(status.error_message(), HasSubstr("options.required_model_revision is 'another'"));
  for (const std::string& name : {std::string(), std::string(129, 'n'), std::string("a b")}) {
    request.set_session(name);
    status = Call(&Stub::OpenSession, request, &response);
    EXPECT_EQ(status.error_code(), grpc::INVALID_ARGUMENT);
    EXPECT_THAT(status.error_message(), HasSubstr("expected 1 to 128 printable ASCII"));
  }
  Open("car").PlanAt(0);
}

}  // namespace
}  // namespace automot
