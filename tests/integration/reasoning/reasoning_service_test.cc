// The reasoning service as a foreign client sees it: generated stubs, no code of ours on the client
// side.
#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <gtest/gtest.h>

#include "automot/v1/reasoning_service.grpc.pb.h"
#include "tests/integration/reasoning/service_fixture.h"

namespace automot {
namespace {

using ::testing::HasSubstr;

TEST_F(ServiceTest, StreamIsAttachedHeaderChunksTrailer) {
  Start();
  Subscription owner(*stub_, SubscribeTo("car", 1));
  v1::SubscribeContextsResponse message;
  ASSERT_TRUE(owner.Read(&message));
  ASSERT_TRUE(message.has_attached());
  EXPECT_EQ(message.attached().epoch(), 1U);
  EXPECT_EQ(message.attached().model_revision(), control_->info.model_revision);
  ASSERT_TRUE(Submit("car", 1, 0).ok());
  ASSERT_TRUE(owner.Read(&message));
  ASSERT_TRUE(message.has_header());
  EXPECT_EQ(message.header().id().session(), "car");
  const uint32_t chunks = static_cast<uint32_t>(control_->layout.layers) * 2;
  for (uint32_t i = 0; i < chunks; ++i) {
    ASSERT_TRUE(owner.Read(&message));
    ASSERT_TRUE(message.has_chunk());
    EXPECT_EQ(message.chunk().layer(), i / 2);
    EXPECT_EQ(message.chunk().values(), i % 2 == 1);
  }
  ASSERT_TRUE(owner.Read(&message));
  ASSERT_TRUE(message.has_trailer());
  EXPECT_EQ(message.trailer().chunk_count(), chunks);
  EXPECT_EQ(message.trailer().digest().size(), 16U);
  EXPECT_EQ(message.trailer().decision().slots_size(), 3);
}

TEST_F(ServiceTest, ListenersGetDecisionsBesideTheOwner) {
  Start();
  Subscription owner(*stub_, SubscribeTo("car", 1));
  v1::SubscribeContextsResponse message;
  ASSERT_TRUE(owner.Read(&message));
  v1::SubscribeContextsRequest listen;
  listen.set_session("car");
  listen.set_selection(v1::CONTEXT_SELECTION_DECISIONS);
  Subscription first(*stub_, listen), second(*stub_, listen);
  for (Subscription* listener : {&first, &second}) {
    ASSERT_TRUE(listener->Read(&message));
    ASSERT_TRUE(message.has_attached());
  }
  ASSERT_TRUE(Submit("car", 1, 0).ok());
  for (Subscription* listener : {&first, &second}) {
    ASSERT_TRUE(listener->Read(&message));
    ASSERT_TRUE(message.has_header());
    ASSERT_TRUE(listener->Read(&message));
    ASSERT_TRUE(message.has_trailer());
    EXPECT_EQ(message.trailer().chunk_count(), 0U);
    EXPECT_EQ(message.trailer().decision().slots(0).longitudinal(), v1::LONGITUDINAL_ACTION_KEEP);
  }
}

TEST_F(ServiceTest, StalledConsumerDoesNotSlowTheProducerAndThenGetsTheNewest) {
  // 20 MB a snapshot: far more than any window of the transport.
  control_->layout = {
      .layers = 10, .tokens = 1024, .kv_heads = 4, .k_head_dim = 64, .v_head_dim = 64};
  Start();
  Subscription stalled(*stub_, SubscribeTo("stalled", 1)),
      reading(*stub_, SubscribeTo("reading", 1));
  v1::SubscribeContextsResponse message;
  ASSERT_TRUE(stalled.Read(&message));
  ASSERT_TRUE(reading.Read(&message));
  constexpr int kRefreshes = 6;
  for (int i = 0; i < kRefreshes; ++i) {
    ASSERT_TRUE(Submit("stalled", 1, i * 500'000).ok());
    ASSERT_TRUE(Submit("reading", 1, i * 500'000).ok());
    do {
      ASSERT_TRUE(reading.Read(&message));
    } while (!message.has_trailer());
    EXPECT_EQ(message.trailer().id().version(), static_cast<uint64_t>(i) + 1);
  }
  while (process_->engine().status().refreshes < 2 * kRefreshes) {
  }
  std::vector<uint64_t> versions;
  while (versions.empty() || versions.back() != kRefreshes) {
    ASSERT_TRUE(stalled.Read(&message));
    if (message.has_trailer()) versions.push_back(message.trailer().id().version());
  }
  EXPECT_LE(versions.size(), 3U) << "at most three snapshots are held for a consumer";
  EXPECT_EQ(versions.front(), 1U) << "what was begun is finished";
}

TEST_F(ServiceTest, LosslessConsumerThatStallsHoldsItsProducerBackAndLosesNothing) {
  control_->layout = {
      .layers = 10, .tokens = 1024, .kv_heads = 4, .k_head_dim = 64, .v_head_dim = 64};
  Start();
  v1::SubscribeContextsRequest request = SubscribeTo("stalled", 1);
  request.set_lossless(true);
  Subscription stalled(*stub_, request), reading(*stub_, SubscribeTo("reading", 1));
  v1::SubscribeContextsResponse message;
  ASSERT_TRUE(stalled.Read(&message));
  ASSERT_TRUE(reading.Read(&message));
  constexpr int kRefreshes = 6;
  const auto serve_the_other = [&](int64_t time_us) {
    ASSERT_TRUE(Submit("reading", 1, time_us).ok());
    do {
      ASSERT_TRUE(reading.Read(&message));
    } while (!message.has_trailer());
  };
  serve_the_other(0);
  for (int i = 0; i < kRefreshes; ++i) ASSERT_TRUE(Submit("stalled", 1, i * 500'000).ok());
  // Its deadline is after all of the above: when it is served, the worker has gone as far with them
  // as it may.
  serve_the_other(500'000);
  for (uint64_t version = 1; version <= kRefreshes; ++version) {
    do {
      ASSERT_TRUE(stalled.Read(&message));
    } while (!message.has_trailer());
    EXPECT_EQ(message.trailer().id().version(), version);
  }
}

TEST_F(ServiceTest, AskStreamsTheAnswerWithItsCaptureTime) {
  Start();
  Subscription owner(*stub_, SubscribeTo("car", 1));
  v1::SubscribeContextsResponse message;
  ASSERT_TRUE(owner.Read(&message));
  ASSERT_TRUE(Submit("car", 1, 1'500'000).ok());
  grpc::ClientContext call;
  SetDeadline(&call);
  v1::AskRequest request;
  request.set_session("car");
  request.set_question("What is ahead?");
  auto reader = stub_->Ask(&call, request);
  std::string text;
  v1::AskResponse response;
  while (reader->Read(&response)) {
    text += response.text();
    EXPECT_EQ(response.capture_time_us(), 1'500'000);
    EXPECT_EQ(response.model_revision(), control_->info.model_revision);
  }
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_EQ(text, "token0 token1 token2 ");
  EXPECT_TRUE(response.done());
  EXPECT_TRUE(response.complete());
}

TEST_F(ServiceTest, AskAboutAnOwnObservationNeedsNoSession) {
  Start();
  grpc::ClientContext call;
  SetDeadline(&call);
  v1::AskRequest request;
  *request.mutable_observation() = ObservationAt(77);
  request.set_question("Why?");
  request.set_max_tokens(1);
  request.add_stop("!");
  request.mutable_sampling()->set_temperature(0.7);
  request.mutable_sampling()->set_top_k(5);
  request.mutable_sampling()->set_seed(11);
  auto reader = stub_->Ask(&call, request);
  std::string text;
  v1::AskResponse response;
  while (reader->Read(&response)) text += response.text();
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_EQ(text, "token0 ");
  EXPECT_EQ(response.capture_time_us(), 77);
  EXPECT_TRUE(response.done());
  EXPECT_FALSE(response.complete());
  const reasoning::AskOptions asked = control_->asked();
  EXPECT_EQ(asked.stop, std::vector<std::string>{"!"});
  EXPECT_EQ(asked.sampling.temperature, 0.7);
  EXPECT_EQ(asked.sampling.top_k, 5);
  EXPECT_EQ(asked.sampling.top_p, 1.0);
  EXPECT_EQ(asked.sampling.seed, 11U);
}

TEST_F(ServiceTest, CancelledQuestionStopsTheExpert) {
  Start();
  control_->token_gate.Close();
  grpc::ClientContext call;
  v1::AskRequest request;
  *request.mutable_observation() = ObservationAt(77);
  request.set_question("Why?");
  auto reader = stub_->Ask(&call, request);
  ASSERT_TRUE(control_->token_gate.WaitForArrivals(1));
  call.TryCancel();
  v1::AskResponse response;
  EXPECT_FALSE(reader->Read(&response));
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  control_->token_gate.Open();
}

TEST_F(ServiceTest, StatusTellsWhatTheServerIs) {
  control_->info.weights_trained = true;
  Start();
  Subscription owner(*stub_, SubscribeTo("car", 1));
  v1::SubscribeContextsResponse message;
  ASSERT_TRUE(owner.Read(&message));
  grpc::ClientContext call;
  SetDeadline(&call);
  v1::GetReasoningStatusResponse status;
  ASSERT_TRUE(stub_->GetReasoningStatus(&call, {}, &status).ok());
  EXPECT_EQ(status.model_revision(), control_->info.model_revision);
  EXPECT_TRUE(status.weights_trained());
  EXPECT_TRUE(status.ready());
  EXPECT_FALSE(status.draining());
  EXPECT_EQ(status.sessions(), 1U);
  EXPECT_EQ(status.session_limit(), 64U);
}

TEST_F(ServiceTest, HealthFollowsTheExpertAndTheDrain) {
  control_->prefill_gate.Close();  // the warm-up stands
  StartWithoutWaiting();
  const std::string service = "automot.v1.ReasoningService";
  EXPECT_EQ(Health("live"), HealthStatus::kServing);
  EXPECT_EQ(Health(""), HealthStatus::kNotServing);
  EXPECT_EQ(Health(service), HealthStatus::kNotServing);
  Subscription early(*stub_, SubscribeTo("car", 1));
  v1::SubscribeContextsResponse message;
  EXPECT_FALSE(early.Read(&message));
  EXPECT_EQ(early.Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  control_->prefill_gate.Open();
  while (Health(service) != HealthStatus::kServing) {
  }
  EXPECT_EQ(Health(""), HealthStatus::kServing);
  Subscription owner(*stub_, SubscribeTo("car", 1));
  ASSERT_TRUE(owner.Read(&message));
  std::thread drain([this] { process_->server->Drain(); });
  ASSERT_TRUE(owner.Read(&message));
  EXPECT_TRUE(message.has_draining());
  EXPECT_EQ(message.draining().deadline_ms(), 20'000);
  EXPECT_EQ(Health(service), HealthStatus::kNotServing);
  EXPECT_EQ(Health("live"), HealthStatus::kServing);
  owner.Cancel();
  drain.join();
}

TEST_F(ServiceTest, SubscriberThatLeavesIsForgotten) {
  Start();
  {
    Subscription owner(*stub_, SubscribeTo("car", 5));
    v1::SubscribeContextsResponse message;
    ASSERT_TRUE(owner.Read(&message));
  }
  // The next epoch is accepted whether or not the server has noticed; a refresh goes to the new
  // owner.
  Subscription next(*stub_, SubscribeTo("car", 6));
  v1::SubscribeContextsResponse message;
  ASSERT_TRUE(next.Read(&message));
  EXPECT_EQ(message.attached().epoch(), 6U);
}

}  // namespace
}  // namespace automot
