#include "tools/loadgen/payload.h"

#include <algorithm>
#include <cstring>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/image/decode.h"
#include "common/image/encode.h"
#include "common/status/status_macros.h"

namespace automot::loadgen {
namespace {

namespace v1 = automot::v1;

constexpr std::size_t kLidarCells = std::size_t{kLidarBins} * kLidarBins;
constexpr int kSeenShots = 2;  // pictures of kJpeg, taken in turn
constexpr int kBlock = 16;     // pixels: noise of single pixels is no picture
constexpr int kJpegQuality = 85;

double Fraction(uint64_t bits) { return static_cast<double>(bits >> 11U) * 0x1p-53; }

RgbImage RandomImage(const PayloadOptions& options, std::mt19937_64& random) {
  RgbImage image{.width = options.camera_width, .height = options.camera_height};
  image.pixels.resize(static_cast<std::size_t>(image.width) * image.height * 3);
  const int across = (image.width + kBlock - 1) / kBlock;
  std::vector<uint8_t> blocks(static_cast<std::size_t>(across) *
                              ((image.height + kBlock - 1) / kBlock) * 3);
  for (uint8_t& value : blocks) value = static_cast<uint8_t>(random());
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < image.width; ++x) {
      const std::size_t block = (static_cast<std::size_t>(y / kBlock) * across + x / kBlock) * 3;
      std::memcpy(&image.pixels[(static_cast<std::size_t>(y) * image.width + x) * 3],
                  &blocks[block], 3);
    }
  }
  return image;
}

std::string RandomBev(int channels, std::mt19937_64& random, uint64_t* checksum) {
  BevFeature feature{.channels = channels,
                     .values = std::vector<float>(static_cast<std::size_t>(channels) * 64)};
  for (float& value : feature.values) value = static_cast<float>(Fraction(random()));
  *checksum = synthetic::ChecksumOf(&feature);
  return {reinterpret_cast<const char*>(feature.values.data()),
          feature.values.size() * sizeof(float)};
}

void AddLidar(std::mt19937_64& random, v1::Observation* observation, uint64_t* checksum) {
  std::string counts(kLidarCells, '\0');
  for (char& count : counts) count = random() % 16 == 0 ? static_cast<char>(random() % 6) : '\0';
  *checksum = synthetic::ChecksumOf(counts);
  *observation->mutable_lidar()->mutable_histogram()->mutable_counts() = std::move(counts);
}

void SetPoint(const Vec2& point, v1::Vec2* proto) {
  proto->set_x(point.x);
  proto->set_y(point.y);
}

// Numbers that no other tick of any vehicle has, near those of `recorded`.
void MakeOwn(uint64_t seed, uint64_t count, const RecordedTick& recorded,
             synthetic::TickFacts* facts) {
  std::mt19937_64 random(seed * 0x9e3779b97f4a7c15U + count);
  const auto near = [&](const Vec2& point) {
    return Vec2{point.x + Fraction(random()), point.y + Fraction(random())};
  };
  facts->speed_mps = recorded.speed_mps + Fraction(random());
  facts->current_target = near(recorded.current_target);
  facts->next_target = near(recorded.next_target);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Payload>> Payload::Create(const PayloadOptions& options) {
  std::unique_ptr<Payload> payload(new Payload(options));
  switch (options.kind) {
    case PayloadKind::kBev:
      AUTOMOT_RETURN_IF_ERROR(payload->MakeBev());
      break;
    case PayloadKind::kEpisode:
      AUTOMOT_RETURN_IF_ERROR(payload->MakeEpisode());
      break;
    default:
      AUTOMOT_RETURN_IF_ERROR(payload->MakeSeen(options.kind == PayloadKind::kRaw));
  }
  return payload;
}

absl::Status Payload::AddPicture(const std::string& jpeg, Shot* shot) const {
  AUTOMOT_ASSIGN_OR_RETURN(const RgbImage decoded, image::DecodeImage(jpeg));
  if (decoded.width != options_.camera_width || decoded.height != options_.camera_height) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the pictures are ", decoded.width, "x", decoded.height, "; the server's camera is ",
        options_.camera_width, "x", options_.camera_height));
  }
  v1::CameraImage* image = shot->request.mutable_observation()->add_camera_images();
  image->set_encoding(v1::IMAGE_ENCODING_JPEG);
  image->set_data(jpeg);
  shot->facts.camera = shot->context_camera = synthetic::ChecksumOf(&decoded);
  shot->has_camera = true;
  return absl::OkStatus();
}

absl::Status Payload::MakeBev() {
  std::mt19937_64 random(options_.seed);
  AUTOMOT_ASSIGN_OR_RETURN(const std::string jpeg,
                           image::EncodeJpeg(RandomImage(options_, random), kJpegQuality));
  shots_.resize(2);
  AUTOMOT_RETURN_IF_ERROR(AddPicture(jpeg, &shots_[0]));
  for (Shot& shot : shots_) {
    v1::BevFeature* feature = shot.request.mutable_observation()->mutable_bev_feature();
    feature->set_channels(static_cast<uint32_t>(options_.bev_channels));
    feature->set_values(RandomBev(options_.bev_channels, random, &shot.facts.bev_feature));
  }
  return absl::OkStatus();
}

absl::Status Payload::MakeSeen(bool raw) {
  std::mt19937_64 random(options_.seed);
  shots_.resize(raw ? 1 : kSeenShots);
  for (Shot& shot : shots_) {
    const RgbImage picture = RandomImage(options_, random);
    v1::Observation* observation = shot.request.mutable_observation();
    if (!raw) {
      AUTOMOT_ASSIGN_OR_RETURN(const std::string jpeg, image::EncodeJpeg(picture, kJpegQuality));
      AUTOMOT_RETURN_IF_ERROR(AddPicture(jpeg, &shot));
    } else {
      // The server gives lossless pictures JPEG's artefacts.
      AUTOMOT_ASSIGN_OR_RETURN(const RgbImage lossy, image::JpegRoundTrip(picture));
      v1::CameraImage* image = observation->add_camera_images();
      image->set_encoding(v1::IMAGE_ENCODING_RAW_RGB);
      image->set_width(static_cast<uint32_t>(picture.width));
      image->set_height(static_cast<uint32_t>(picture.height));
      image->set_data(picture.pixels.data(), picture.pixels.size());
      shot.facts.camera = synthetic::ChecksumOf(&lossy);
      shot.context_camera = synthetic::ChecksumOf(&picture);
      shot.has_camera = true;
    }
    AddLidar(random, observation, &shot.facts.lidar);
  }
  return absl::OkStatus();
}

absl::Status Payload::MakeEpisode() {
  AUTOMOT_ASSIGN_OR_RETURN(const RecordedEpisode episode, ReadEpisode(options_.episode_folder));
  ticks_ = episode.ticks;
  shots_.resize(ticks_.size());
  for (std::size_t i = 0; i < ticks_.size(); ++i) {
    if (ticks_[i].picture < 0) continue;
    AUTOMOT_RETURN_IF_ERROR(
        AddPicture(episode.pictures[static_cast<std::size_t>(ticks_[i].picture)], &shots_[i]));
  }
  return absl::OkStatus();
}

// Which of the shots is next.
std::size_t Payload::Choose(int64_t capture_time_us, bool first) {
  if (options_.kind != PayloadKind::kBev) {
    if (first) count_ = 0;  // has a picture, in an episode as well
    return count_ % shots_.size();
  }
  if (!first && capture_time_us < next_picture_us_) return 1;
  next_picture_us_ = capture_time_us + static_cast<int64_t>(1e6 / options_.reasoning_rate_hz);
  return 0;
}

v1::PlanRequest* Payload::Tick(int64_t capture_time_us, bool first, SentTick* sent) {
  static constexpr RecordedTick kStraight{
      .speed_mps = 5.0, .current_target = {8.0, 0.0}, .next_target = {20.0, 0.0}};
  const std::size_t at = Choose(capture_time_us, first);
  Shot& shot = shots_[at];
  sent->facts = shot.facts;
  sent->facts.capture_time_us = capture_time_us;
  sent->has_camera = shot.has_camera;
  sent->context_camera = shot.context_camera;
  MakeOwn(options_.seed, static_cast<uint64_t>(capture_time_us),
          ticks_.empty() ? kStraight : ticks_[at], &sent->facts);
  ++count_;
  v1::Observation* observation = shot.request.mutable_observation();
  observation->set_capture_time_us(capture_time_us);
  if (shot.has_camera) {
    observation->mutable_camera_images(0)->set_capture_time_us(capture_time_us);
  }
  if (observation->has_lidar()) observation->mutable_lidar()->set_capture_time_us(capture_time_us);
  observation->mutable_ego_state()->set_speed_mps(sent->facts.speed_mps);
  v1::RouteTarget* target = observation->mutable_route_target();
  SetPoint(sent->facts.current_target, target->mutable_current_target_point());
  SetPoint(sent->facts.next_target, target->mutable_next_target_point());
  return &shot.request;
}

std::size_t Payload::bytes() const { return shots_.back().request.ByteSizeLong(); }

}  // namespace automot::loadgen
