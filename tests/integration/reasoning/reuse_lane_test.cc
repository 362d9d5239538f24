// Unchanged bytes are not sent again over the gRPC lane, and everything is where nothing is held.
#include <gtest/gtest.h>

#include "tests/integration/reasoning/lane_fixture.h"

namespace automot {
namespace {

class ReuseLaneTest : public LaneTest {
 protected:
  context::Lane lane() const override { return context::Lane::kGrpc; }
  void SetUp() override {
    control_->layout = {
        .layers = 3, .tokens = 700, .kv_heads = 4, .k_head_dim = 128, .v_head_dim = 80};
    StartReasoning();
    StartChannel();
  }
  // Bytes that came, and that were copied instead, for the refresh at `time`.
  struct Bytes {
    uint64_t received = 0, reused = 0;
  };
  Bytes Refresh(fakes::RecordingReceiver& receiver, SessionTimeUs time, uint8_t brightness) {
    const context::LinkStats before = channel_->stats();
    const std::size_t count = receiver.snapshots().size();
    EXPECT_TRUE(SubmitAt(1, time, brightness).ok());
    EXPECT_TRUE(receiver.WaitForSnapshots(count + 1));
    const context::LinkStats after = channel_->stats();
    return {after.bytes_received - before.bytes_received, after.bytes_reused - before.bytes_reused};
  }
  void Attach(fakes::RecordingReceiver& receiver, uint64_t epoch) {
    ASSERT_TRUE(channel_->Attach(Request(1, epoch), &receiver).ok());
    ASSERT_TRUE(receiver.WaitForLink(context::LinkState::kUp));
  }
  uint64_t Payload() const { return control_->layout.payload_bytes(); }
};

TEST_F(ReuseLaneTest, AnUnchangedSceneIsNotSentAgainAndArrivesByteForByte) {
  fakes::RecordingReceiver receiver;
  Attach(receiver, 1);
  Bytes bytes = Refresh(receiver, 1'000'000, 42);
  EXPECT_GE(bytes.received, Payload());
  EXPECT_EQ(bytes.reused, 0U);
  for (int refresh = 1; refresh <= 3; ++refresh) {
    bytes = Refresh(receiver, 1'000'000 + refresh * 2'000'000, 42);
    EXPECT_LT(bytes.received, 4096U) << "references only";
    EXPECT_EQ(bytes.reused, Payload());
    ExpectFakeTensors(*receiver.snapshots().back(), {42, 42, 42, 42});
    EXPECT_EQ(receiver.snapshots().back()->header.id.version, 1U + refresh);
  }
  bytes = Refresh(receiver, 11'000'000, 43);
  EXPECT_GE(bytes.received, Payload());
  EXPECT_EQ(bytes.reused, 0U);
  EXPECT_TRUE(receiver.failures().empty());
}

// A consumer that begins anew, as after a restart, holds nothing.
TEST_F(ReuseLaneTest, AfterANewAttachmentEverythingIsSent) {
  fakes::RecordingReceiver receiver;
  Attach(receiver, 1);
  Refresh(receiver, 1'000'000, 42);
  EXPECT_EQ(Refresh(receiver, 3'000'000, 42).reused, Payload());
  channel_.reset();
  StartChannel();
  fakes::RecordingReceiver again;
  Attach(again, 2);
  const Bytes bytes = Refresh(again, 5'000'000, 42);
  EXPECT_GE(bytes.received, Payload());
  EXPECT_EQ(bytes.reused, 0U);
  EXPECT_EQ(Refresh(again, 7'000'000, 42).reused, Payload());
  ExpectFakeTensors(*again.snapshots().back(), {42, 42, 42, 42});
}

TEST_F(ReuseLaneTest, QuantisedContextsAreReusedAsTheyAre) {
  control_->finite_values = true;
  fakes::RecordingReceiver receiver;
  context::AttachRequest request = Request(1, 1);
  request.element_type = context::ContextLayout::ElementType::kFloat8E4M3;
  ASSERT_TRUE(channel_->Attach(request, &receiver).ok());
  ASSERT_TRUE(receiver.WaitForLink(context::LinkState::kUp));
  Refresh(receiver, 1'000'000, 42);
  const Bytes bytes = Refresh(receiver, 3'000'000, 42);
  EXPECT_EQ(bytes.reused, receiver.snapshots().back()->kv.layout().payload_bytes());
  EXPECT_LT(bytes.received, 4096U);
}

}  // namespace
}  // namespace automot
