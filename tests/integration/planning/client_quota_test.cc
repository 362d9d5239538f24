// One client's quotas on the wire: what is refused, how it is told, and that the rest goes on.
#include <gmock/gmock.h>

#include "tests/integration/planning/planning_fixture.h"

namespace automot {
namespace {

using ::testing::HasSubstr;

constexpr double kRequests = 8.0;

class ClientQuotaTest : public PlanningTest {
 protected:
  // The clock stands still: what a bucket holds is all there is.
  void StartWith(const rpc::ClientQuotaOptions& quotas) {
    PlanningProcess::Options options;
    options.quotas = quotas;
    options.engine.client_session_limit = quotas.sessions;
    options.clock = &clock_;
    StartInProcess(options);
  }
  static std::string RetryAfter(const grpc::ClientContext& call) {
    const auto& trailing = call.GetServerTrailingMetadata();
    const auto found = trailing.find("automot-retry-after-ms");
    return found == trailing.end() ? "" : std::string(found->second.data(), found->second.size());
  }
  grpc::Status StatusOf(const std::string& session, grpc::ClientContext* call) {
    v1::GetSessionStatusRequest request;
    request.set_session(session);
    v1::GetSessionStatusResponse response;
    SetPatience(call);
    return stub_->GetSessionStatus(call, request, &response);
  }
  // Asks until refused; at most `limit` calls.
  int CallsUntilRefused(int limit, grpc::Status* refusal, std::string* retry_after) {
    for (int i = 0; i < limit; ++i) {
      grpc::ClientContext call;
      *refusal = StatusOf("nobody", &call);
      *retry_after = RetryAfter(call);
      if (refusal->error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED) return i;
    }
    return limit;
  }

  ManualClock clock_;
};

TEST_F(ClientQuotaTest, CallsBeyondTheRateAreRefusedWithADelayAndPassAfterIt) {
  StartWith({.requests_per_second = kRequests});
  grpc::Status refusal;
  std::string retry_after;
  EXPECT_EQ(CallsUntilRefused(100, &refusal, &retry_after), kRequests);
  EXPECT_THAT(refusal.error_message(), HasSubstr("client 'host:127.0.0.1': requests per second"));
  EXPECT_EQ(retry_after, "125");
  clock_.Advance(absl::Milliseconds(125));
  EXPECT_EQ(CallsUntilRefused(100, &refusal, &retry_after), 1);
}

TEST_F(ClientQuotaTest, PlansOfABatchAreCountedEach) {
  StartWith({.requests_per_second = kRequests});
  v1::PlanBatchRequest request;
  for (int i = 0; i < kRequests; ++i) request.add_plans()->set_session(absl::StrCat("car", i));
  v1::PlanBatchResponse response;
  EXPECT_TRUE(Call(&v1::PlanningService::Stub::PlanBatch, request, &response).ok());
  EXPECT_EQ(Call(&v1::PlanningService::Stub::PlanBatch, request, &response).error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST_F(ClientQuotaTest, AStreamOverTheRateIsToldPerRequestAndGoesOn) {
  StartWith({.requests_per_second = kRequests});
  Car car = Open("car");  // the first request
  grpc::ClientContext call;
  SetPatience(&call);
  auto stream = stub_->StreamPlans(&call);
  v1::StreamPlansResponse response;
  int planned = 0, refused = 0;
  for (int i = 0; i < 20; ++i) {
    v1::StreamPlansRequest request;
    *request.mutable_plan() = car.RequestAt(SessionTimeUs{50'000} * i);
    ASSERT_TRUE(stream->Write(request));
    ASSERT_TRUE(stream->Read(&response));
    EXPECT_EQ(response.sequence(), request.plan().sequence());
    if (response.status().code() == 0) {
      ++planned;
      continue;
    }
    ++refused;
    EXPECT_EQ(response.status().code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
    EXPECT_EQ(response.status().retry_after_ms(), 125);
  }
  EXPECT_EQ(planned, kRequests - 1);
  EXPECT_EQ(refused, 20 - planned);
  clock_.Advance(absl::Seconds(1));
  v1::StreamPlansRequest request;
  *request.mutable_plan() = car.RequestAt(2'000'000);
  ASSERT_TRUE(stream->Write(request));
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.status().code(), 0) << response.status().message();
  stream->WritesDone();
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(ClientQuotaTest, ObservationsOfARefusedRequestAreNotTaken) {
  StartWith({.bytes_per_second = 64.0 * 1024});
  Car car = Open("car");
  car.PlanAt(0);
  v1::PlanRequest large = car.RequestAt(100'000);
  large.mutable_observation()->mutable_camera_images(0)->set_data(std::string(1 << 20, '\x11'));
  v1::PlanResponse response;
  EXPECT_EQ(car.Send(large, &response).error_code(), grpc::StatusCode::INVALID_ARGUMENT)
      << "a whole bucket lets one pass, whose picture has the wrong size";
  const grpc::Status refused = car.Send(car.RequestAt(200'000), &response);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(refused.error_message(), HasSubstr("MiB per second"));
  clock_.Advance(absl::Seconds(30));
  EXPECT_EQ(car.Status().observation_time_us(), 0);
}

TEST_F(ClientQuotaTest, SessionsBeyondTheQuotaAreRefusedWithADelay) {
  StartWith({.sessions = 1});
  Car car = Open("car");
  v1::OpenSessionRequest request;
  request.set_session("van");
  *request.mutable_options() = OptionsOf(v1::TIME_MODE_REALTIME);
  v1::OpenSessionResponse response;
  grpc::ClientContext call;
  SetPatience(&call);
  const grpc::Status refused = stub_->OpenSession(&call, request, &response);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(refused.error_message(),
            "client 'host:127.0.0.1' has 1 sessions open; the limit is 1 for one client");
  EXPECT_EQ(RetryAfter(call), "1000");
}

}  // namespace
}  // namespace automot
