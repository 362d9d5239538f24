#include "tools/loadgen/payload.h"

#include <gtest/gtest.h>

#include <filesystem>

namespace automot::loadgen {
namespace {

namespace v1 = automot::v1;

PayloadOptions OptionsOf(PayloadKind kind, uint64_t seed = 1) {
  return {.kind = kind, .camera_width = 64, .camera_height = 32, .seed = seed};
}

std::unique_ptr<Payload> Make(const PayloadOptions& options) {
  auto payload = Payload::Create(options);
  EXPECT_TRUE(payload.ok()) << payload.status();
  return *std::move(payload);
}

TEST(Payload, BevIsOfTheStatedSizeWithPicturesAtTheReasoningRate) {
  const auto payload = Make(OptionsOf(PayloadKind::kBev));
  EXPECT_NEAR(static_cast<double>(payload->bytes()), 189.0 * 1024, 1024.0);
  int pictures = 0;
  for (int i = 0; i < 40; ++i) {  // two seconds
    SentTick sent;
    const v1::PlanRequest* request = payload->Tick(i * 50'000, i == 0, &sent);
    EXPECT_EQ(request->observation().camera_images_size() > 0, sent.has_camera);
    EXPECT_EQ(i == 0 && !sent.has_camera, false);
    pictures += sent.has_camera ? 1 : 0;
  }
  EXPECT_EQ(pictures, 4);
}

TEST(Payload, NewEpisodeBeginsWithAPicture) {
  for (const PayloadKind kind : {PayloadKind::kBev, PayloadKind::kJpeg, PayloadKind::kRaw}) {
    const auto payload = Make(OptionsOf(kind));
    SentTick sent;
    payload->Tick(0, true, &sent);
    payload->Tick(50'000, false, &sent);
    payload->Tick(100'000, true, &sent);
    EXPECT_TRUE(sent.has_camera);
  }
}

TEST(Payload, NoTwoTicksOrVehiclesAreAlike) {
  const auto one = Make(OptionsOf(PayloadKind::kJpeg, 1));
  const auto two = Make(OptionsOf(PayloadKind::kJpeg, 2));
  SentTick a, b, c;
  one->Tick(0, true, &a);
  one->Tick(50'000, false, &b);
  two->Tick(0, true, &c);
  EXPECT_NE(a.facts.speed_mps, b.facts.speed_mps);
  EXPECT_NE(a.facts.camera, c.facts.camera);
  EXPECT_NE(a.facts.speed_mps, c.facts.speed_mps);
  EXPECT_NE(a.facts.current_target, c.facts.current_target);
}

TEST(Payload, RawPicturesAreSeenBeforeAndAfterTheirArtefacts) {
  SentTick sent;
  const auto payload = Make(OptionsOf(PayloadKind::kRaw));
  const v1::PlanRequest* request = payload->Tick(0, true, &sent);
  EXPECT_EQ(request->observation().camera_images(0).data().size(), 64U * 32 * 3);
  EXPECT_NE(sent.facts.camera, sent.context_camera);
}

TEST(Payload, EpisodePlaysTheRecordedPicturesAndMotion) {
  PayloadOptions options = OptionsOf(PayloadKind::kEpisode);
  options.camera_width = 256;
  options.camera_height = 128;
  options.episode_folder = AUTOMOT_SOURCE_DIR "/tests/data/episode";
  const auto payload = Make(options);
  SentTick first, second;
  payload->Tick(0, true, &first);
  EXPECT_TRUE(first.has_camera);
  EXPECT_GE(first.facts.speed_mps, 7.0);
  EXPECT_LT(first.facts.speed_mps, 8.0);
  payload->Tick(50'000, false, &second);
  EXPECT_FALSE(second.has_camera);
  options.camera_width = 1024;
  EXPECT_TRUE(absl::IsInvalidArgument(Payload::Create(options).status()));
  options.episode_folder = "/nowhere";
  EXPECT_TRUE(absl::IsNotFound(Payload::Create(options).status()));
}

}  // namespace
}  // namespace automot::loadgen
