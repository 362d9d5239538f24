// Recorded driving in the format "automot-driving-episode", version 1 (docs/training-data.md): one
// folder per episode with episode.json and episode.safetensors.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/checkpoint/safetensors.h"

namespace automot::train {

// A question about what the camera sees at a frame, and its true answer.
struct Question {
  int64_t frame = 0;
  std::string family, question, answer;
};

// Immutable after Open; any number of threads may read it. Spans point into the mapped file and
// live as long as the episode. Frames count from 0, the oldest.
class Episode {
 public:
  // NOT_FOUND, or INVALID_ARGUMENT naming file, field and what does not fit.
  static absl::StatusOr<std::unique_ptr<const Episode>> Open(const std::string& directory);

  int64_t frames() const { return frames_; }
  const std::string& id() const { return id_; }
  // As the recorder declares it; empty where it declares none.
  const std::string& target_point_rule() const { return target_point_rule_; }
  const std::vector<Question>& questions() const { return questions_; }

  absl::Span<const int64_t> time_us;      // [frames], session time
  absl::Span<const float> speed_mps;      // [frames]
  absl::Span<const float> target_points;  // [frames, 2, 2], ego frame, metres
  absl::Span<const float> route;          // [frames, 20, 2], ego frame, metres
  absl::Span<const float> waypoints;      // [frames, 6, 2], ego frame, metres
  absl::Span<const uint8_t> decisions;    // [frames, 3]: 0 stop, 1 slow, 2 keep, 3 accelerate
  absl::Span<const float> future_speeds;  // [frames, 3], metres per second
  absl::Span<const uint8_t> usable;       // [frames], 0: not a label to learn
  absl::Span<const uint8_t> lidar_half;   // [frames]

  // JPEG of the front camera at a frame.
  std::string_view Jpeg(int64_t frame) const;
  // Adds the frame's LiDAR histogram to `counts`, [rows * columns], zeros before.
  void FillLidar(int64_t frame, absl::Span<uint8_t> counts) const;

 private:
  Episode() = default;
  absl::Status ReadTensors(const std::string& path);
  absl::Status ReadQuestions(const std::string& path);
  absl::Status CheckRanges() const;

  std::string id_;
  std::string target_point_rule_;
  int64_t frames_ = 0;
  std::unique_ptr<model::SafetensorsFile> file_;
  absl::Span<const int32_t> lidar_cell_;
  absl::Span<const uint8_t> lidar_count_, jpeg_;
  absl::Span<const int64_t> lidar_begin_, jpeg_begin_;  // [frames + 1]
  std::vector<Question> questions_;
};

}  // namespace automot::train
