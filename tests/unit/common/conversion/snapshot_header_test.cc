#include "common/conversion/snapshot_header.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/context/snapshot_manifest.h"

namespace automot::conversion {
namespace {

using ::testing::HasSubstr;

context::SnapshotHeader Full() {
  context::SnapshotHeader header;
  header.id = {.session = 7, .episode = 2, .epoch = 1'700'000'000'000'000, .version = 12};
  header.capture_time_us = 0;
  header.frame_capture_times_us = {-750'000, -500'000, -250'000, 0};
  header.history_spacing_error_us = 17;
  header.prompt = {.target_points = {Vec2{1.5, -2.5}, Vec2{3.0, 4.0}},
                   .speed_mps = 12.25,
                   .pose = Pose2{{5, 6}, 7},
                   .route_revision = 8};
  header.position_start = 177;
  header.layout = {.kind = context::ContextLayout::Kind::kFull,
                   .element_type = context::ContextLayout::ElementType::kBFloat16,
                   .layers = 36,
                   .tokens = 625,
                   .kv_heads = 8,
                   .k_head_dim = 128,
                   .v_head_dim = 128};
  header.model_revision = "0123";
  header.prompt_template = "automot-v1";
  header.instruction_mask = "bidirectional";
  header.history_spacing_s = 0.1;
  header.reasons.Add(Reason::kShortHistory);
  header.reasons.Add(Reason::kHalfSweep);
  return header;
}

TEST(SnapshotHeaderConversion, RoundTripKeepsWhatTheDigestCovers) {
  v1::SnapshotHeader proto;
  SnapshotHeaderToProto(Full(), "car", &proto);
  EXPECT_EQ(proto.id().session(), "car");
  const auto back = SnapshotHeaderFromProto(proto, 99);
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->id.session, 99U) << "a number of this process";
  const auto digest = [](const context::SnapshotHeader& header) {
    return context::ManifestHasher(header, "car").Finish(std::nullopt);
  };
  EXPECT_EQ(digest(*back), digest(Full()));
  EXPECT_EQ(back->layout, Full().layout);
  EXPECT_EQ(back->frame_capture_times_us, Full().frame_capture_times_us);
}

TEST(SnapshotHeaderConversion, SizesFromOutsideAreBounded) {
  v1::SnapshotHeader good;
  SnapshotHeaderToProto(Full(), "car", &good);
  v1::SnapshotHeader proto = good;
  proto.mutable_tensor_spec()->set_num_tokens(65537);
  EXPECT_EQ(SnapshotHeaderFromProto(proto, 1).status(),
            absl::InvalidArgumentError("tensor_spec.num_tokens is 65537; it must be 1 to 65536"));
  proto = good;
  proto.mutable_tensor_spec()->set_num_layers(0);
  EXPECT_TRUE(absl::IsInvalidArgument(SnapshotHeaderFromProto(proto, 1).status()));
  proto = good;
  proto.mutable_tensor_spec()->set_element_type(static_cast<v1::ElementType>(5));
  EXPECT_THAT(std::string(SnapshotHeaderFromProto(proto, 1).status().message()),
              HasSubstr("element_type is 5"));
  proto = good;
  for (int i = 0; i < 64; ++i) proto.add_frame_capture_times_us(i);
  EXPECT_EQ(SnapshotHeaderFromProto(proto, 1).status(),
            absl::InvalidArgumentError("frame_capture_times_us has 68 values; the limit is 64"));
}

TEST(SnapshotHeaderConversion, UnknownReasonsOfANewerPeerAreLeftOut) {
  v1::SnapshotHeader proto;
  SnapshotHeaderToProto(Full(), "car", &proto);
  proto.add_reasons(static_cast<v1::Reason>(99));
  EXPECT_EQ(SnapshotHeaderFromProto(proto, 1)->reasons, Full().reasons);
}

}  // namespace
}  // namespace automot::conversion
