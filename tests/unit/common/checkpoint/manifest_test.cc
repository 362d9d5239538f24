#include "common/checkpoint/manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "common/checkpoint/content_hash.h"
#include "common/checkpoint/layout.h"
#include "common/checkpoint/make_manifest.h"
#include "tests/unit/common/checkpoint/checkpoint_fixture.h"

namespace automot::model {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const char kName[] = "route_queries.weight";

TEST(ContentHash, IsTheSameWholeAndInPieces) {
  std::vector<std::byte> bytes(1000);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * 7);
  ContentHash hash;
  hash.Update(absl::MakeConstSpan(bytes).subspan(0, 1));
  hash.Update(absl::MakeConstSpan(bytes).subspan(1));
  EXPECT_EQ(hash.Hex(), HashHex(absl::MakeConstSpan(bytes)));
  EXPECT_TRUE(IsHashHex(hash.Hex()));
  bytes[500] ^= std::byte{1};
  EXPECT_NE(hash.Hex(), HashHex(absl::MakeConstSpan(bytes)));
  EXPECT_EQ(ContentHash().Hex(), HashHex(std::string_view()));
}

TEST(ContentHash, TellsAHashFromOtherText) {
  EXPECT_TRUE(IsHashHex("0123456789abcdef0123456789abcdef"));
  EXPECT_FALSE(IsHashHex("0123456789abcdef0123456789abcde"));
  EXPECT_FALSE(IsHashHex("0123456789ABCDEF0123456789abcdef"));
}

TEST(Manifest, RefusesWhatIsNotOne) {
  const auto error = [](std::string_view text) {
    return std::string(ParseManifest(text).status().message());
  };
  EXPECT_THAT(error("[]"), HasSubstr("automot_manifest.json: not a JSON object"));
  EXPECT_THAT(error("{}"), HasSubstr("format is not \"automot-manifest-1\""));
  EXPECT_THAT(error(R"({"format": "automot-manifest-1"})"), HasSubstr("tensors is missing"));
  EXPECT_THAT(error(R"({"format": "automot-manifest-1", "tensors": []})"),
              HasSubstr("tensors is not an object"));
  EXPECT_THAT(error(R"({"format": "automot-manifest-1", "tensors": {"a": "12"}})"),
              HasSubstr("\"a\" is not 32 lower-case hex digits"));
}

class ManifestOfACheckpoint : public ShardedCheckpoint {
 protected:
  void WriteManifestOf() {
    auto manifest = MakeManifest(directory_);
    ASSERT_TRUE(manifest.ok()) << manifest.status();
    ASSERT_TRUE(WriteManifest(directory_, *manifest).ok());
  }
  // Changes one bit of a stored tensor, and leaves the manifest alone.
  void Damage(const std::string& name) {
    tensors_.at(name).bytes[3] ^= std::byte{1};
    WriteAll();
  }
  absl::Status ReadAll(const Checkpoint& checkpoint, const std::string& name,
                       std::vector<std::byte>* bytes = nullptr) {
    return checkpoint.Read(*checkpoint.Find(name), [&](absl::Span<const std::byte> piece) {
      if (bytes != nullptr) bytes->insert(bytes->end(), piece.begin(), piece.end());
    });
  }
};

TEST_F(ManifestOfACheckpoint, IsReadBackAsWritten) {
  WriteAll();
  WriteManifestOf();
  EXPECT_EQ(*ReadManifest(directory_), *MakeManifest(directory_));
  EXPECT_EQ(ReadManifest(directory_)->tensors.size(), 589u);
}

TEST_F(ManifestOfACheckpoint, GivesTheRevisionOfReadingEverything) {
  WriteAll();
  WriteManifestOf();
  auto checkpoint = Open();
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  EXPECT_EQ((*checkpoint)->revision(), TinyRevision());
}

TEST_F(ManifestOfACheckpoint, FitsShardsAndPrefixesOfTheSameTensors) {
  WriteAll();
  WriteManifestOf();
  fs::remove(directory_ / "model.safetensors");
  Rename("bev_encoder.", "bev_encoder.backbone.");
  WriteShards();
  auto checkpoint = Open();
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  EXPECT_EQ((*checkpoint)->revision(), TinyRevision());
  EXPECT_TRUE(ReadAll(**checkpoint, "bev_encoder.c5_conv.bias").ok());
}

TEST_F(ManifestOfACheckpoint, ReadHandsOverTheBytes) {
  WriteAll();
  auto checkpoint = Open();
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  std::vector<std::byte> bytes;
  ASSERT_TRUE(ReadAll(**checkpoint, kName, &bytes).ok());
  EXPECT_EQ(bytes, tensors_.at(kName).bytes);
}

// What semantics 2 asks for: verified for what is loaded, and only for that.
TEST_F(ManifestOfACheckpoint, FindsDamageInTheTensorThatIsReadAndInNoOther) {
  WriteAll();
  WriteManifestOf();
  Damage(kName);
  auto checkpoint = Open();
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  EXPECT_TRUE(ReadAll(**checkpoint, "waypoint_queries.weight").ok());
  const absl::Status status = ReadAll(**checkpoint, kName);
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(status.message(),
              AllOf(HasSubstr("\"route_queries.weight\""), HasSubstr("run automot-manifest")));
  EXPECT_THAT(ManifestDifferences(*ReadManifest(directory_), *MakeManifest(directory_)),
              ElementsAre("differs: route_queries.weight"));
}

TEST_F(ManifestOfACheckpoint, IsPassedOverOnRequest) {
  WriteAll();
  WriteManifestOf();
  Damage(kName);
  auto checkpoint = Open({.use_manifest = false});
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  EXPECT_NE((*checkpoint)->revision(), TinyRevision());
  EXPECT_TRUE(ReadAll(**checkpoint, kName).ok());
}

TEST_F(ManifestOfACheckpoint, ListsEveryNameThatOneSideLacks) {
  WriteAll();
  auto manifest = *MakeManifest(directory_);
  const std::string hash = manifest.tensors.at(kName);
  manifest.tensors.erase(kName);
  manifest.tensors.erase("waypoint_queries.weight");
  manifest.tensors["ghost"] = hash;
  ASSERT_TRUE(WriteManifest(directory_, manifest).ok());
  EXPECT_THAT(OpenError(), AllOf(HasSubstr("3 tensor problem(s)"),
                                 HasSubstr("does not name route_queries.weight"),
                                 HasSubstr("does not name waypoint_queries.weight"),
                                 HasSubstr("names a tensor that is not stored: ghost")));
}

TEST_F(ManifestOfACheckpoint, IsRefusedRatherThanSkippedWhenItCannotBeRead) {
  WriteAll();
  std::ofstream(directory_ / kManifestFile) << "{";
  EXPECT_THAT(OpenError(), HasSubstr("automot_manifest.json: not valid JSON"));
}

TEST_F(ManifestOfACheckpoint, StillTellsATiedHeadThatDiffers) {
  tensors_[kLmHeadName] = tensors_[kEmbeddingName];
  WriteAll();
  WriteManifestOf();
  auto checkpoint = Open();
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  EXPECT_EQ((*checkpoint)->revision(), TinyRevision());
  Damage(kLmHeadName);
  WriteManifestOf();
  EXPECT_THAT(OpenError(), HasSubstr("lm_head.weight differs"));
}

TEST_F(ManifestOfACheckpoint, CoversTheEmaTensors) {
  WriteAll();
  tensors_[kName].bytes[0] ^= std::byte{1};
  const auto only = [](const std::string& name) { return name == kName; };
  Write("ema.safetensors", only);
  const auto read = Open({.use_ema = true, .use_manifest = false});
  WriteManifestOf();
  auto plain = Open(), ema = Open({.use_ema = true});
  ASSERT_TRUE(read.ok() && plain.ok() && ema.ok())
      << read.status() << plain.status() << ema.status();
  EXPECT_EQ((*plain)->revision(), TinyRevision());
  EXPECT_EQ((*ema)->revision(), (*read)->revision());
  EXPECT_TRUE(ReadAll(**ema, kName).ok());
  EXPECT_TRUE(ReadAll(**ema, "waypoint_queries.weight").ok());
  tensors_[kName].bytes[0] ^= std::byte{2};
  Write("ema.safetensors", only);
  EXPECT_EQ(ReadAll(**Open({.use_ema = true}), kName).code(), absl::StatusCode::kDataLoss);
}

TEST_F(ManifestOfACheckpoint, WithoutEmaTensorsDoesNotServeThem) {
  WriteAll();
  WriteManifestOf();
  Write("ema.safetensors", [](const std::string& name) { return name == kName; });
  EXPECT_TRUE(Open().ok());
  EXPECT_THAT(Open({.use_ema = true}).status().message(),
              HasSubstr("does not name route_queries.weight"));
}

}  // namespace
}  // namespace automot::model
