// Observations up the lane to a producer that answers as each test says.
#include <gmock/gmock.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <chrono>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "automot/v1/reasoning_service.grpc.pb.h"
#include "common/rpc/call_admission.h"
#include "services/planning/lane/grpc_snapshot_channel.h"
#include "tests/fakes/recording_receiver.h"
#include "tests/fakes/slow_observations.h"

namespace automot {
namespace {

using ::testing::ElementsAre;
using Times = std::vector<int64_t>;  // of the frames of one request

struct Answer {
  grpc::StatusCode code = grpc::StatusCode::OK;
  bool asks_to_wait = false;
};

class AnsweringProducer final : public v1::ReasoningService::Service {
 public:
  AnsweringProducer() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  ~AnsweringProducer() override { server_->Shutdown(std::chrono::system_clock::now()); }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  void AnswerWith(std::deque<Answer> answers) {
    const absl::MutexLock lock(&mutex_);
    answers_ = std::move(answers);
    requests_.clear();
  }
  // The first `count` requests since AnswerWith, once they are here.
  std::vector<Times> Requests(std::size_t count) {
    const absl::MutexLock lock(&mutex_);
    const auto here = [&] { return requests_.size() >= count; };
    EXPECT_TRUE(mutex_.AwaitWithTimeout(absl::Condition(&here), absl::Seconds(30)));
    return requests_;
  }

  grpc::Status SubmitObservation(grpc::ServerContext* call,
                                 const v1::SubmitObservationRequest* request,
                                 v1::SubmitObservationResponse*) override {
    Times times;
    for (const auto& image : request->observation().observation().camera_images()) {
      times.push_back(image.capture_time_us());
    }
    const absl::MutexLock lock(&mutex_);
    requests_.push_back(times);
    if (answers_.empty()) return grpc::Status::OK;
    const Answer answer = answers_.front();
    answers_.pop_front();
    if (answer.asks_to_wait) rpc::AddRetryAfter(call, absl::Milliseconds(1));
    return {answer.code, "as the test says"};
  }
  grpc::Status SubscribeContexts(grpc::ServerContext* call,
                                 const v1::SubscribeContextsRequest* request,
                                 grpc::ServerWriter<v1::SubscribeContextsResponse>* out) override {
    v1::SubscribeContextsResponse attached;
    attached.mutable_attached()->set_epoch(request->epoch());
    out->Write(attached);
    while (!call->IsCancelled()) std::this_thread::yield();
    return grpc::Status::OK;
  }

 private:
  absl::Mutex mutex_;
  std::deque<Answer> answers_ ABSL_GUARDED_BY(mutex_);
  std::vector<Times> requests_ ABSL_GUARDED_BY(mutex_);
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

class RefusingProducerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    planning::GrpcSnapshotChannelOptions options;
    options.addresses = {producer_.address()};
    options.pool.prefault = false;
    channel_ = planning::GrpcSnapshotChannel::Create(options).value();
  }
  void TearDown() override { channel_->Detach(1); }
  void Attach(uint64_t epoch, bool lossless = false) {
    ASSERT_TRUE(channel_
                    ->Attach({.session = 1,
                              .episode = 1,
                              .epoch = epoch,
                              .session_name = "car",
                              .lossless = lossless,
                              .model_revision = "revision"},
                             &receiver_)
                    .ok());
    ASSERT_TRUE(receiver_.WaitForLink(context::LinkState::kUp));
  }
  void SubmitAt(SessionTimeUs time) {
    EXPECT_TRUE(channel_->Submit(fakes::SlowObservationAt(1, time, 1)).ok());
  }

  AnsweringProducer producer_;
  fakes::RecordingReceiver receiver_;
  std::unique_ptr<planning::GrpcSnapshotChannel> channel_;
};

TEST_F(RefusingProducerTest, WhatIsRefusedForGoodIsSentOnceSaidAndForgotten) {
  Attach(1);
  int64_t time = 0;
  std::size_t refusals = 0;
  for (const auto code : {grpc::StatusCode::INVALID_ARGUMENT, grpc::StatusCode::PERMISSION_DENIED,
                          grpc::StatusCode::UNAUTHENTICATED, grpc::StatusCode::FAILED_PRECONDITION,
                          grpc::StatusCode::UNIMPLEMENTED, grpc::StatusCode::RESOURCE_EXHAUSTED}) {
    producer_.AnswerWith({{code}});
    SubmitAt(time += 50'000);
    ASSERT_TRUE(receiver_.WaitForFailures(++refusals)) << code;
    SubmitAt(time += 50'000);
    EXPECT_THAT(producer_.Requests(2), ElementsAre(Times{time - 50'000}, Times{time})) << code;
  }
  producer_.AnswerWith({});
  Attach(2);
  const std::vector<Times> replayed = producer_.Requests(1);
  for (const int64_t frame : replayed.at(0)) {
    EXPECT_EQ(frame % 100'000, 0) << "a new attachment brings what was refused again";
  }
}

TEST_F(RefusingProducerTest, AFullQueueHasTheFramesAndAProducerThatIsAwayHasNot) {
  Attach(1, /*lossless=*/true);
  producer_.AnswerWith({{grpc::StatusCode::RESOURCE_EXHAUSTED, true}});
  SubmitAt(50'000);
  EXPECT_THAT(producer_.Requests(2), ElementsAre(Times{50'000}, Times{}));
  producer_.AnswerWith({{grpc::StatusCode::UNAVAILABLE}, {grpc::StatusCode::UNAVAILABLE}});
  SubmitAt(100'000);
  EXPECT_THAT(producer_.Requests(3), ElementsAre(Times{100'000}, Times{100'000}, Times{100'000}));
}

}  // namespace
}  // namespace automot
