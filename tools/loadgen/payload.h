// What a vehicle that does not exist sends. Observations are made once, before the load, and only
// their numbers change from tick to tick: making them must not eat into the schedule.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "automot/v1/planning_service.pb.h"
#include "tools/loadgen/answer_check.h"

namespace automot::loadgen {

// bev: a BEV feature, and a JPEG at the reasoning rate. jpeg: a JPEG and a LiDAR histogram. raw: an
// uncompressed picture (1.5 MiB at 1024 x 512) and a LiDAR histogram. episode: the pictures and the
// motion of a recorded episode.
enum class PayloadKind : uint8_t { kBev, kJpeg, kRaw, kEpisode };

struct PayloadOptions {
  PayloadKind kind = PayloadKind::kBev;
  int camera_width = 1024;  // of the server's checkpoint
  int camera_height = 512;
  int bev_channels = 756;
  double reasoning_rate_hz = 2.0;
  std::string episode_folder;  // of kEpisode: as tests/data/episode
  uint64_t seed = 0;           // the vehicle's own: its pictures, features and numbers
};

// A recorded motion: ego state and target points by tick, and the picture of each.
struct RecordedTick {
  double speed_mps = 0.0;
  Vec2 current_target, next_target;
  int picture = -1;  // none
};
struct RecordedEpisode {
  std::vector<std::string> pictures;  // JPEG
  std::vector<RecordedTick> ticks;
};
// NOT_FOUND or INVALID_ARGUMENT naming the file.
absl::StatusOr<RecordedEpisode> ReadEpisode(const std::string& folder);

// Not thread-safe; belongs to one vehicle.
class Payload {
 public:
  static absl::StatusOr<std::unique_ptr<Payload>> Create(const PayloadOptions& options);

  // The request of the tick at `capture_time_us`, to be completed with session, lease and sequence;
  // valid until the next call. What it holds is written to `sent` (but for its identity).
  // `first`: of an episode, which always has a picture.
  automot::v1::PlanRequest* Tick(int64_t capture_time_us, bool first, SentTick* sent);

  std::size_t bytes() const;  // of a usual request

 private:
  struct Shot {
    automot::v1::PlanRequest request;
    synthetic::TickFacts facts;
    uint64_t context_camera = synthetic::kAbsent;
    bool has_camera = false;
  };
  explicit Payload(const PayloadOptions& options) : options_(options) {}
  absl::Status MakeBev();
  absl::Status MakeSeen(bool raw);
  absl::Status MakeEpisode();
  absl::Status AddPicture(const std::string& jpeg, Shot* shot) const;
  std::size_t Choose(int64_t capture_time_us, bool first);

  const PayloadOptions options_;
  std::vector<Shot> shots_;          // kBev: with a picture and without
  std::vector<RecordedTick> ticks_;  // kEpisode: of the shots
  uint64_t count_ = 0;
  int64_t next_picture_us_ = 0;
};

}  // namespace automot::loadgen
