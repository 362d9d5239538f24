// Every bad request gets the right code and a message that names the field, the value and the
// limit.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "tests/integration/reasoning/service_fixture.h"

namespace automot {
namespace {

using ::testing::HasSubstr;

class BadInputTest : public ServiceTest {
 protected:
  void SetUp() override {
    Start();
    owner_ = std::make_unique<Subscription>(*stub_, SubscribeTo("car", 10));
    v1::SubscribeContextsResponse message;
    ASSERT_TRUE(owner_->Read(&message));
  }
  void TearDown() override {
    owner_.reset();
    ServiceTest::TearDown();
  }

  void ExpectSubmit(const v1::SubmitObservationRequest& request, grpc::StatusCode code,
                    const std::string& text) {
    const grpc::Status status = Send(request);
    EXPECT_EQ(status.error_code(), code) << status.error_message();
    EXPECT_THAT(status.error_message(), HasSubstr(text));
  }
  void ExpectSubscribe(const v1::SubscribeContextsRequest& request, grpc::StatusCode code,
                       const std::string& text) {
    Subscription subscription(*stub_, request);
    v1::SubscribeContextsResponse message;
    EXPECT_FALSE(subscription.Read(&message));
    const grpc::Status status = subscription.Finish();
    EXPECT_EQ(status.error_code(), code) << status.error_message();
    EXPECT_THAT(status.error_message(), HasSubstr(text));
  }
  void ExpectAsk(const v1::AskRequest& request, grpc::StatusCode code, const std::string& text) {
    grpc::ClientContext call;
    SetDeadline(&call);
    auto reader = stub_->Ask(&call, request);
    v1::AskResponse response;
    EXPECT_FALSE(reader->Read(&response));
    const grpc::Status status = reader->Finish();
    EXPECT_EQ(status.error_code(), code) << status.error_message();
    EXPECT_THAT(status.error_message(), HasSubstr(text));
  }

  std::unique_ptr<Subscription> owner_;
};

TEST_F(BadInputTest, Observations) {
  using Edit = std::function<void(v1::Observation*)>;
  const std::vector<std::pair<Edit, std::string>> cases = {
      {[](auto* o) { o->clear_capture_time_us(); }, "observation.capture_time_us is missing"},
      {[](auto* o) { o->clear_ego_state(); }, "observation.ego_state is missing"},
      {[](auto* o) { o->clear_route_target(); }, "observation.route_target is missing"},
      {[](auto* o) { o->mutable_ego_state()->clear_speed_mps(); },
       "ego_state.speed_mps is missing"},
      {[](auto* o) { o->mutable_ego_state()->set_speed_mps(101.0); },
       "ego_state.speed_mps is 101; it must be -50 to 100"},
      {[](auto* o) {
         o->mutable_route_target()->mutable_next_target_point()->set_y(
             std::numeric_limits<double>::infinity());
       },
       "route_target.next_target_point is (20, inf); it must be finite"},
      {[](auto* o) { o->mutable_camera_images(0)->clear_capture_time_us(); },
       "camera_images.capture_time_us is missing"},
      {[](auto* o) { o->mutable_camera_images(0)->set_width(5); },
       "camera_images.data has 24 bytes; RAW_RGB of 5 x 2 has 30"},
      {[](auto* o) { o->mutable_camera_images(0)->set_width(4097); }, "4096"},
      {[](auto* o) { o->mutable_camera_images(0)->set_encoding(v1::IMAGE_ENCODING_JPEG); }, ""},
      {[](auto* o) {
         for (int i = 0; i < 8; ++i) *o->add_camera_images() = o->camera_images(0);
       },
       "camera_images has 9 entries; the limit is 8"},
      {[](auto* o) { *o->add_camera_images() = o->camera_images(0); }, "frames come oldest first"},
      {[](auto* o) { o->mutable_lidar()->mutable_histogram()->set_counts("12"); },
       "lidar.histogram.counts has 2 bytes; it must have 65536"},
      {[](auto* o) { o->mutable_lidar()->mutable_points()->set_xyz("12"); },
       "lidar.points.xyz has 2 bytes"},
      {[](auto* o) { o->mutable_bev_feature()->set_channels(0); }, "bev_feature.channels is 0"},
  };
  for (const auto& [edit, text] : cases) {
    v1::SubmitObservationRequest request = SubmissionAt("car", 10, 1000);
    edit(request.mutable_observation()->mutable_observation());
    ExpectSubmit(request, grpc::StatusCode::INVALID_ARGUMENT, text);
  }
}

TEST_F(BadInputTest, Submissions) {
  ExpectSubmit(SubmissionAt("", 10, 0), grpc::StatusCode::INVALID_ARGUMENT,
               "session has 0 bytes; it must have 1 to 128");
  ExpectSubmit(SubmissionAt("nobody", 10, 0), grpc::StatusCode::NOT_FOUND,
               "session 'nobody' has no subscription");
  ExpectSubmit(SubmissionAt("car", 9, 0), grpc::StatusCode::ABORTED,
               "epoch is 9; the one in force for session 'car' is 10");
  ExpectSubmit(SubmissionAt("car", 11, 0), grpc::StatusCode::NOT_FOUND,
               "no subscription of epoch 11");
  v1::SubmitObservationRequest empty = SubmissionAt("car", 10, 0);
  empty.clear_observation();
  ExpectSubmit(empty, grpc::StatusCode::INVALID_ARGUMENT, "observation is missing");
}

TEST_F(BadInputTest, Subscriptions) {
  const auto edited = [](const std::function<void(v1::SubscribeContextsRequest*)>& edit) {
    v1::SubscribeContextsRequest request = SubscribeTo("bus", 1);
    edit(&request);
    return request;
  };
  ExpectSubscribe(edited([](auto* r) { r->set_session(std::string(129, 'x')); }),
                  grpc::StatusCode::INVALID_ARGUMENT,
                  "session has 129 bytes; it must have 1 to 128");
  ExpectSubscribe(edited([](auto* r) { r->set_session("b\nus"); }),
                  grpc::StatusCode::INVALID_ARGUMENT, "printable ASCII");
  ExpectSubscribe(edited([](auto* r) { r->set_epoch(0); }), grpc::StatusCode::INVALID_ARGUMENT,
                  "epoch is 0");
  ExpectSubscribe(edited([](auto* r) { r->set_reasoning_rate_hz(0.0); }),
                  grpc::StatusCode::INVALID_ARGUMENT,
                  "reasoning_rate_hz is 0; it must be above 0 and at most 100");
  ExpectSubscribe(edited([](auto* r) { r->clear_model_revision(); }),
                  grpc::StatusCode::INVALID_ARGUMENT, "model_revision is empty");
  ExpectSubscribe(edited([](auto* r) { r->set_model_revision("other"); }),
                  grpc::StatusCode::FAILED_PRECONDITION, "model_revision is 'other'");
  ExpectSubscribe(edited([](auto* r) { r->set_layout(static_cast<v1::KvLayout>(9)); }),
                  grpc::StatusCode::INVALID_ARGUMENT, "layout is 9");
  ExpectSubscribe(SubscribeTo("car", 10), grpc::StatusCode::ABORTED,
                  "is not above the epoch in force, 10");
  v1::SubscribeContextsRequest listen;
  listen.set_session("bus");
  listen.set_selection(v1::CONTEXT_SELECTION_DECISIONS);
  ExpectSubscribe(listen, grpc::StatusCode::NOT_FOUND, "session 'bus' has no subscription");
}

TEST_F(BadInputTest, Questions) {
  v1::AskRequest request;
  request.set_session("car");
  ExpectAsk(request, grpc::StatusCode::INVALID_ARGUMENT,
            "question has 0 bytes; it must have 1 to 4096");
  request.set_question("Why?");
  request.set_max_tokens(1025);
  ExpectAsk(request, grpc::StatusCode::INVALID_ARGUMENT, "max_tokens is 1025");
  request.set_max_tokens(1);
  request.add_stop("");
  ExpectAsk(request, grpc::StatusCode::INVALID_ARGUMENT,
            "a stop string has 0 bytes; it must have 1 to 256");
  request.clear_stop();
  request.mutable_sampling()->set_temperature(-1.0);
  ExpectAsk(request, grpc::StatusCode::INVALID_ARGUMENT, "temperature is -1, must be in [0, 100]");
  request.mutable_sampling()->set_temperature(1.0);
  request.mutable_sampling()->set_top_p(0.0);
  ExpectAsk(request, grpc::StatusCode::INVALID_ARGUMENT, "top_p is 0, must be in (0, 1]");
  request.clear_sampling();
  ExpectAsk(request, grpc::StatusCode::FAILED_PRECONDITION,
            "session 'car' has no camera frame yet");
  request.set_session("bus");
  ExpectAsk(request, grpc::StatusCode::NOT_FOUND, "session 'bus'");
  *request.mutable_observation() = ObservationAt(0);
  request.mutable_observation()->clear_camera_images();
  ExpectAsk(request, grpc::StatusCode::INVALID_ARGUMENT, "observation.camera_images is empty");
}

TEST_F(BadInputTest, AddressBeyondLoopbackNeedsTlsOrInsecure) {
  const auto refused =
      reasoning::ReasoningServer::Start({.address = "0.0.0.0:0"}, &process_->engine());
  EXPECT_TRUE(absl::IsInvalidArgument(refused.status())) << refused.status();
  const auto odd = reasoning::ReasoningServer::Start({.address = "nowhere"}, &process_->engine());
  EXPECT_TRUE(absl::IsInvalidArgument(odd.status())) << odd.status();
}

}  // namespace
}  // namespace automot
