#include "common/context/snapshot_manifest.h"

#include <functional>
#include <set>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tests/unit/common/context/snapshot_fixture.h"

namespace automot::context {
namespace {

// The published model: 36 layers, 625 tokens, compact bfloat16 (spec fact 0.3: 37.4 MB).
constexpr ContextLayout kPublished{.kind = ContextLayout::Kind::kCompact,
                                   .element_type = ContextLayout::ElementType::kBFloat16,
                                   .layers = 36,
                                   .tokens = 625,
                                   .kv_heads = 4,
                                   .k_head_dim = 128,
                                   .v_head_dim = 80};

TEST(PlanChunks, CoversEveryByteOnceInCanonicalOrder) {
  for (std::size_t size :
       {std::size_t{1}, kMinChunkBytes, std::size_t{200'000}, kDefaultChunkBytes}) {
    uint64_t total = 0;
    uint64_t end_of_tensor = 0;
    for (const ChunkSpec& chunk : PlanChunks(kPublished, size)) {
      if (chunk.offset_bytes != 0) {
        EXPECT_EQ(chunk.offset_bytes, end_of_tensor);
      }
      EXPECT_EQ(chunk.offset_bytes % kTensorAlignment, 0U);
      EXPECT_LE(chunk.bytes, kMaxChunkBytes);
      end_of_tensor = chunk.offset_bytes + chunk.bytes;
      total += chunk.bytes;
    }
    EXPECT_EQ(total, kPublished.payload_bytes());
  }
}

TEST(PlanChunks, OneTensorOfThePublishedModelIsOneChunk) {
  EXPECT_EQ(PlanChunks(kPublished, kDefaultChunkBytes).size(), 72U);
}

TEST(ManifestHasher, EveryFieldChangesTheDigest) {
  const auto digest = [](const SnapshotHeader& header) {
    return ManifestHasher(header).Finish(std::nullopt);
  };
  const std::vector<std::function<void(SnapshotHeader&)>> changes = {
      [](SnapshotHeader& h) { h.id.session++; },
      [](SnapshotHeader& h) { h.id.episode++; },
      [](SnapshotHeader& h) { h.id.epoch++; },
      [](SnapshotHeader& h) { h.id.version++; },
      [](SnapshotHeader& h) { h.capture_time_us++; },
      [](SnapshotHeader& h) { h.frame_capture_times_us[0]++; },
      [](SnapshotHeader& h) { h.frame_capture_times_us.pop_back(); },
      [](SnapshotHeader& h) { h.history_spacing_error_us++; },
      [](SnapshotHeader& h) { h.history_spacing_s += 0.1; },
      [](SnapshotHeader& h) { h.prompt.target_points[1].y += 1; },
      [](SnapshotHeader& h) { h.prompt.speed_mps += 1; },
      [](SnapshotHeader& h) { h.prompt.pose.reset(); },
      [](SnapshotHeader& h) { h.prompt.pose->yaw_rad += 1; },
      [](SnapshotHeader& h) { h.prompt.route_revision++; },
      [](SnapshotHeader& h) { h.position_start++; },
      [](SnapshotHeader& h) { h.layout.kind = ContextLayout::Kind::kFull; },
      [](SnapshotHeader& h) { h.layout.element_type = ContextLayout::ElementType::kBFloat16; },
      [](SnapshotHeader& h) { h.layout.tokens++; },
      [](SnapshotHeader& h) { h.model_revision += "x"; },
      [](SnapshotHeader& h) { h.prompt_template += "x"; },
      [](SnapshotHeader& h) { h.instruction_mask += "x"; },
      [](SnapshotHeader& h) { h.reasons.Add(Reason::kNoLidar); },
      // Text must not slide from one field into the next.
      [](SnapshotHeader& h) { h.model_revision = "revisionc", h.prompt_template = "arla"; },
  };
  std::set<std::pair<uint64_t, uint64_t>> digests;
  const ManifestDigest original = digest(SmallHeader());
  digests.emplace(original.low, original.high);
  for (const auto& change : changes) {
    SnapshotHeader header = SmallHeader();
    change(header);
    const ManifestDigest changed = digest(header);
    digests.emplace(changed.low, changed.high);
  }
  EXPECT_EQ(digests.size(), changes.size() + 1);
}

TEST(ManifestHasher, OrderAndContentOfChunksAndDecisionCount) {
  const ChunkSpec a{.layer = 0, .bytes = 64, .hash = 1};
  const ChunkSpec b{.layer = 1, .bytes = 64, .hash = 2};
  const auto digest = [](const std::vector<ChunkSpec>& chunks,
                         const std::optional<Decision>& decision) {
    ManifestHasher hasher(SmallHeader());
    for (const ChunkSpec& chunk : chunks) hasher.Add(chunk);
    return hasher.Finish(decision);
  };
  EXPECT_EQ(digest({a, b}, std::nullopt), digest({a, b}, std::nullopt));
  EXPECT_NE(digest({a, b}, std::nullopt), digest({b, a}, std::nullopt));
  EXPECT_NE(digest({a, b}, std::nullopt), digest({a}, std::nullopt));
  EXPECT_NE(digest({a, b}, std::nullopt), digest({a, b}, Decision{}));
  EXPECT_NE(digest({a, b}, SmallDecision()), digest({a, b}, Decision{}));
}

// Fixed values: a peer of another build must compute the same.
TEST(ManifestHasher, TheCanonicalFormIsPinned) {
  const SnapshotManifest manifest = BuildManifest(*SmallSnapshot(1), kMinChunkBytes);
  EXPECT_EQ(manifest.chunks.size(), 9U);
  EXPECT_EQ(manifest.chunks[0].hash, 14239961074632543659U);
  EXPECT_EQ(manifest.trailer.digest.low, 2482325662439528595U);
  EXPECT_EQ(manifest.trailer.digest.high, 10353941962776720711U);
}

}  // namespace
}  // namespace automot::context
