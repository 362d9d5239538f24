#include "common/conversion/snapshot_trailer.h"

#include <gtest/gtest.h>

namespace automot::conversion {
namespace {

TEST(SnapshotTrailerConversion, RoundTripKeepsDigestDecisionAndTime) {
  context::SnapshotTrailer trailer;
  trailer.digest = {.low = 0x1122334455667788, .high = 0x99AABBCCDDEEFF00};
  trailer.decision.emplace();
  trailer.decision->slot_count = 1;
  trailer.decision->slots[0].longitudinal = LongitudinalAction::kSlow;
  trailer.timings.total_ms = 125.0;
  v1::SnapshotTrailer proto;
  SnapshotTrailerToProto(trailer, {.version = 3}, "car", 17, &proto);
  EXPECT_EQ(proto.digest(),
            std::string("\x99\xAA\xBB\xCC\xDD\xEE\xFF\x00\x11\x22\x33\x44\x55\x66\x77\x88", 16))
      << "canonical form: big-endian, high half first";
  EXPECT_EQ(proto.chunk_count(), 17U);
  EXPECT_EQ(proto.id().version(), 3U);
  const auto back = SnapshotTrailerFromProto(proto);
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->digest, trailer.digest);
  ASSERT_TRUE(back->decision);
  EXPECT_EQ(back->decision->slots[0].longitudinal, LongitudinalAction::kSlow);
  EXPECT_EQ(back->timings.total_ms, 125.0);
}

TEST(SnapshotTrailerConversion, AbsentDecisionStaysAbsentAndShortDigestIsRefused) {
  v1::SnapshotTrailer proto;
  SnapshotTrailerToProto({}, {}, "car", 0, &proto);
  EXPECT_FALSE(SnapshotTrailerFromProto(proto)->decision);
  proto.set_digest("123");
  EXPECT_EQ(SnapshotTrailerFromProto(proto).status(),
            absl::InvalidArgumentError("trailer.digest has 3 bytes; it must have 16"));
}

}  // namespace
}  // namespace automot::conversion
