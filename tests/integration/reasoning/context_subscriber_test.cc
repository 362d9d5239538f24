// The public C++ subscriber against a real reasoning service with the fake expert.
#include "client/context_subscriber.h"

#include <gmock/gmock.h>

#include <set>
#include <thread>

#include "common/conversion/observation.h"
#include "tests/integration/reasoning/lane_fixture.h"

namespace automot::client {
namespace {

using ::testing::HasSubstr;
using Refresh = ContextSubscriber::Refresh;

constexpr char kRevision[] = "00112233445566778899aabbccddeeff";  // the fake expert's

// Only the lane by gRPC.
class ContextSubscriberTest : public LaneTest {
 protected:
  void SetUp() override { StartReasoning(); }
  context::Lane lane() const override { return context::Lane::kGrpc; }

  ContextSubscriber::Options Options() const {
    ContextSubscriber::Options options;
    options.address = process_->address();
    options.session = "car";
    options.model_revision = kRevision;
    return options;
  }
  void Connect(const ContextSubscriber::Options& options) {
    auto connected = ContextSubscriber::Connect(options);
    ASSERT_TRUE(connected.ok()) << connected.status();
    contexts_ = *std::move(connected);
    auto reader = contexts_->RegisterReader("test");
    ASSERT_TRUE(reader.ok()) << reader.status();
    reader_ = *reader;
  }
  absl::Status SeenAt(SessionTimeUs time, uint8_t brightness, Refresh refresh = Refresh::kNow) {
    const auto slow = fakes::SlowObservationAt(1, time, brightness);
    Observation seen;
    seen.capture_time_us = time;
    seen.camera_frames = {*slow->frames.front()};
    seen.ego = slow->ego;
    seen.target = slow->target;
    v1::Observation proto;
    conversion::ObservationToProto(seen, &proto);
    return contexts_->Submit(proto, refresh);
  }
  bool Eventually(const std::function<bool()>& condition) const {
    const absl::Time end = absl::Now() + absl::Seconds(30);
    while (!condition()) {
      if (absl::Now() >= end) return false;
      std::this_thread::yield();
    }
    return true;
  }
  bool AwaitSnapshotOf(SessionTimeUs time) const {
    return Eventually([&] {
      const auto latest = contexts_->Latest(reader_);
      return latest && latest->header.capture_time_us == time;
    });
  }

  std::unique_ptr<ContextSubscriber> contexts_;
  context::ReaderSlot reader_;
};

TEST_F(ContextSubscriberTest, KeysAndValuesArriveByteForByteAndStayWhileTheyAreHeld) {
  Connect(Options());
  EXPECT_FALSE(contexts_->Latest(reader_)) << "nothing yet";
  ASSERT_TRUE(SeenAt(100'000, 7).ok());
  ASSERT_TRUE(AwaitSnapshotOf(100'000));
  const auto held = contexts_->Latest(reader_);
  ASSERT_TRUE(held);
  EXPECT_EQ(held->header.id.version, 1U);
  ExpectFakeTensors(*held, std::vector<uint64_t>(held->header.frame_capture_times_us.size(), 7));
  for (int i = 2; i <= 10; ++i) {
    ASSERT_TRUE(SeenAt(i * 100'000, static_cast<uint8_t>(i)).ok());
    ASSERT_TRUE(AwaitSnapshotOf(i * 100'000));
  }
  EXPECT_EQ(held->header.id.version, 1U) << "many newer ones replaced it";
  ExpectFakeTensors(*held, std::vector<uint64_t>(held->header.frame_capture_times_us.size(), 7));
  EXPECT_EQ(contexts_->status().received, 10U);
  EXPECT_EQ(contexts_->status().refused, 0U);
}

TEST_F(ContextSubscriberTest, AReaderChoosesItsVersion) {
  std::mutex mutex;
  std::set<uint64_t> told;
  auto options = Options();
  options.on_snapshot = [&](const SnapshotId& id) {
    const std::lock_guard lock(mutex);
    told.insert(id.version);
  };
  Connect(options);
  for (int i = 1; i <= 3; ++i) {
    ASSERT_TRUE(SeenAt(i * 100'000, 1).ok());
    ASSERT_TRUE(AwaitSnapshotOf(i * 100'000));
  }
  EXPECT_EQ(contexts_->LatestVisible(reader_, 250'000)->header.capture_time_us, 200'000);
  const SnapshotId second = contexts_->LatestVisible(reader_, 250'000)->header.id;
  EXPECT_EQ(contexts_->Specific(reader_, second)->header.id, second);
  EXPECT_TRUE(contexts_->AtLeast(reader_, 3));
  EXPECT_EQ(contexts_->AtLeast(reader_, 4).miss(), context::Miss::kNoVersion);
  EXPECT_TRUE(Eventually([&] {
    const std::lock_guard lock(mutex);
    return told == std::set<uint64_t>{1, 2, 3};
  }));
}

TEST_F(ContextSubscriberTest, AResetHidesEverythingAtOnce) {
  Connect(Options());
  ASSERT_TRUE(SeenAt(100'000, 7).ok());
  ASSERT_TRUE(AwaitSnapshotOf(100'000));
  ASSERT_TRUE(contexts_->Reset().ok());
  EXPECT_FALSE(contexts_->Latest(reader_));
  ASSERT_TRUE(SeenAt(0, 9).ok()) << "time may start anew";
  ASSERT_TRUE(AwaitSnapshotOf(0));
  EXPECT_EQ(contexts_->Latest(reader_)->header.id.episode, 2U);
}

TEST_F(ContextSubscriberTest, AttachesAgainWhenTheServiceComesBackAndServesOnMeanwhile) {
  Connect(Options());
  ASSERT_TRUE(SeenAt(100'000, 7).ok());
  ASSERT_TRUE(AwaitSnapshotOf(100'000));
  const uint64_t epoch = contexts_->status().epoch;
  const std::string address = process_->address();
  process_.reset();
  ASSERT_TRUE(Eventually([&] { return !contexts_->status().attached; }));
  EXPECT_TRUE(absl::IsUnavailable(SeenAt(150'000, 7)));
  EXPECT_TRUE(contexts_->Latest(reader_)) << "the last good one serves on";
  StartReasoning(address);
  ASSERT_TRUE(Eventually([&] { return contexts_->status().attached; }));
  ASSERT_TRUE(SeenAt(200'000, 8).ok());
  ASSERT_TRUE(AwaitSnapshotOf(200'000));
  EXPECT_GT(contexts_->Latest(reader_)->header.id.epoch, epoch);
}

TEST_F(ContextSubscriberTest, ANewerOwnerFencesTheOlderWhichDoesNotFight) {
  Connect(Options());
  auto second = ContextSubscriber::Connect(Options());
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_TRUE(Eventually([&] { return contexts_->status().fenced; }));
  EXPECT_THAT(contexts_->status().why_not, HasSubstr("ABORTED"));
  EXPECT_EQ(contexts_->Reset().code(), absl::StatusCode::kAborted);
  EXPECT_EQ(contexts_->status().attachments, 1U);
  EXPECT_TRUE((*second)->status().attached);
}

TEST_F(ContextSubscriberTest, WhatCannotWorkIsRefusedByName) {
  auto options = Options();
  options.model_revision = "ffffffffffffffffffffffffffffffff";
  EXPECT_EQ(ContextSubscriber::Connect(options).status().code(),
            absl::StatusCode::kFailedPrecondition);
  options = Options();
  options.model_revision = "";
  EXPECT_THAT(std::string(ContextSubscriber::Connect(options).status().message()),
              HasSubstr("options.model_revision is empty"));
  options = Options();
  options.address = "127.0.0.1:1";
  options.connect_timeout = absl::Milliseconds(300);
  const auto nobody = ContextSubscriber::Connect(options);
  EXPECT_EQ(nobody.status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(nobody.status().message()), HasSubstr("not attached to 127.0.0.1:1"));
}

TEST_F(ContextSubscriberTest, MemoryIsBoundedByItsBudget) {
  auto options = Options();
  options.snapshot_memory_bytes = 1;  // less than any snapshot takes
  Connect(options);
  ASSERT_TRUE(SeenAt(100'000, 7).ok());
  EXPECT_TRUE(Eventually([&] { return contexts_->status().refused == 1; }));
  EXPECT_FALSE(contexts_->Latest(reader_));
}

}  // namespace
}  // namespace automot::client
