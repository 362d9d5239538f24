// Quantised contexts over both lanes between processes, and in process.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/context/quantisation.h"
#include "tests/integration/reasoning/lane_fixture.h"

namespace automot {
namespace {

using context::ContextLayout;
using context::TensorKind;
using Element = ContextLayout::ElementType;
using ::testing::HasSubstr;

class QuantisedLaneTest : public LaneTest {
 protected:
  void SetUp() override { control_->finite_values = true; }

  static context::AttachRequest Asking(uint64_t session, uint64_t epoch, Element type) {
    context::AttachRequest request = Request(session, epoch);
    request.element_type = type;
    return request;
  }
  // The codes that quantising the fake expert's context gives.
  context::KvBuffer Expected(const context::SnapshotPtr& native, Element type) {
    context::KvBuffer codes =
        context::KvBuffer::Allocate(context::WithElementType(native->kv.layout(), type)).value();
    for (int layer = 0; layer < codes.layout().layers; ++layer) {
      EXPECT_TRUE(context::QuantiseLayer(native->kv, layer, codes).ok());
    }
    return codes;
  }
  static void ExpectSame(const context::KvBuffer& got, const context::KvBuffer& expected) {
    ASSERT_EQ(got.layout(), expected.layout());
    for (int layer = 0; layer < got.layout().layers; ++layer) {
      for (const TensorKind tensor : {TensorKind::kKey, TensorKind::kValue}) {
        EXPECT_TRUE(std::ranges::equal(got.Tensor(layer, tensor), expected.Tensor(layer, tensor)));
      }
    }
  }
};

INSTANTIATE_TEST_SUITE_P(Lanes, QuantisedLaneTest, BothLanes(), LaneName);

TEST_P(QuantisedLaneTest, ArrivesByteForByteWithItsScalesOverEveryLane) {
  control_->layout.tokens = 700;
  StartReasoning();
  StartChannel();
  uint64_t session = 0;
  for (const Element type : {Element::kFloat8E4M3, Element::kInt8}) {
    fakes::RecordingReceiver native, remote, local;
    ASSERT_TRUE(process_->engine().Attach(Request(++session, 1), &native).ok());
    ASSERT_TRUE(process_->engine().Submit(fakes::SlowObservationAt(session, 0, 9)).ok());
    ASSERT_TRUE(native.WaitForSnapshots(1));
    ASSERT_TRUE(process_->engine().Attach(Asking(++session, 1, type), &local).ok());
    ASSERT_TRUE(process_->engine().Submit(fakes::SlowObservationAt(session, 0, 9)).ok());
    ASSERT_TRUE(local.WaitForSnapshots(1));
    ASSERT_TRUE(channel_->Attach(Asking(++session, 1, type), &remote).ok());
    ASSERT_TRUE(remote.WaitForLink(context::LinkState::kUp));
    ASSERT_TRUE(SubmitAt(session, 0, 9).ok());
    ASSERT_TRUE(remote.WaitForSnapshots(1));
    const context::KvBuffer expected = Expected(native.snapshots()[0], type);
    ExpectSame(remote.snapshots()[0]->kv, expected);
    ExpectSame(local.snapshots()[0]->kv, expected);
    EXPECT_EQ(remote.snapshots()[0]->header.layout.element_type, type);
    EXPECT_TRUE(remote.snapshots()[0]->decision.has_value());
    for (const uint64_t inside : {session - 2, session - 1}) process_->engine().Detach(inside);
    channel_->Detach(session);
  }
}

TEST_P(QuantisedLaneTest, LayersLeaveBeforeTheSnapshotIsComplete) {
  StartReasoning();
  StartChannel();
  fakes::RecordingReceiver receiver;
  ASSERT_TRUE(channel_->Attach(Asking(1, 1, Element::kInt8), &receiver).ok());
  ASSERT_TRUE(receiver.WaitForLink(context::LinkState::kUp));
  const int decisions = control_->decide_gate.arrivals();
  control_->decide_gate.Close();
  ASSERT_TRUE(SubmitAt(1, 0).ok());
  ASSERT_TRUE(control_->decide_gate.WaitForArrivals(decisions + 1));
  const ContextLayout layout = context::WithElementType(control_->layout, Element::kInt8);
  while (channel_->stats().bytes_received < layout.payload_bytes()) {
  }
  EXPECT_TRUE(receiver.snapshots().empty());
  control_->decide_gate.Open();
  EXPECT_TRUE(receiver.WaitForSnapshots(1));
}

TEST_P(QuantisedLaneTest, AValueThatIsNotFiniteIsATypedFailureAndTheStreamGoesOn) {
  control_->finite_values = false;
  control_->layout.element_type = Element::kBFloat16;  // one random value in 256 is not finite
  StartReasoning();
  StartChannel();
  fakes::RecordingReceiver receiver;
  ASSERT_TRUE(channel_->Attach(Asking(1, 1, Element::kFloat8E4M3), &receiver).ok());
  ASSERT_TRUE(receiver.WaitForLink(context::LinkState::kUp));
  ASSERT_TRUE(SubmitAt(1, 0).ok());
  ASSERT_TRUE(receiver.WaitForFailures(1));
  EXPECT_EQ(receiver.failures()[0].code(), absl::StatusCode::kOutOfRange);
  EXPECT_THAT(std::string(receiver.failures()[0].message()), HasSubstr("layer 0, head"));
  EXPECT_TRUE(receiver.snapshots().empty());
}

TEST_P(QuantisedLaneTest, ATypeThatTheProducerCannotMakeIsRefusedByName) {
  StartReasoning();
  StartChannel();
  fakes::RecordingReceiver receiver;
  const absl::Status inside =
      process_->engine().Attach(Asking(1, 1, Element::kBFloat16), &receiver);
  EXPECT_EQ(inside.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(inside.message()),
              HasSubstr("element_type is bfloat16; this producer makes float32"));
  ASSERT_TRUE(channel_->Attach(Asking(2, 1, Element::kBFloat16), &receiver).ok());
  ASSERT_TRUE(receiver.WaitForLink(context::LinkState::kDown));
  EXPECT_EQ(receiver.link_states().back().second.code(), absl::StatusCode::kFailedPrecondition);
}

// A lossless session's refreshes wait for the quantiser as they wait for the stream.
TEST_P(QuantisedLaneTest, LosslessSessionsGetEverySnapshot) {
  StartReasoning();
  fakes::RecordingReceiver receiver;
  context::AttachRequest request = Asking(1, 1, Element::kInt8);
  request.lossless = true;
  StartChannel();
  ASSERT_TRUE(channel_->Attach(request, &receiver).ok());
  ASSERT_TRUE(receiver.WaitForLink(context::LinkState::kUp));
  constexpr int kSnapshots = 12;
  for (int i = 0; i < kSnapshots; ++i) {
    while (!SubmitAt(1, i * 500'000).ok()) {
    }
  }
  ASSERT_TRUE(receiver.WaitForSnapshots(kSnapshots));
  for (int i = 0; i < kSnapshots; ++i) {
    EXPECT_EQ(receiver.snapshots()[i]->header.capture_time_us, i * 500'000);
  }
}

}  // namespace
}  // namespace automot
