#include "tests/unit/tools/train/synthetic_dataset.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <stdexcept>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/checkpoint/json_file.h"
#include "common/checkpoint/safetensors.h"
#include "common/image/encode.h"
#include "nlohmann/json.hpp"

namespace automot::train {
namespace {

namespace fs = std::filesystem;
using model::DType;

void Check(const absl::Status& status) {
  if (!status.ok()) throw std::runtime_error(std::string(status.message()));
}

// The tensors of an episode, in the order of the format.
struct Recording {
  std::vector<int64_t> time_us, lidar_begin = {0}, jpeg_begin = {0};
  std::vector<float> speed, points, route, waypoints, future;
  std::vector<uint8_t> decisions, usable, half, count, jpeg;
  std::vector<int32_t> cell;
};

void AddLabels(bool stops, Recording& out) {
  const float speed = stops ? 4.0F : 8.0F;
  out.speed.push_back(speed);
  out.points.insert(out.points.end(), {15.0F, 2.0F, 40.0F, -1.0F});
  for (int i = 0; i < 20; ++i) out.route.insert(out.route.end(), {i + 1.0F, 0.1F * i});
  for (int i = 1; i <= 6; ++i) {
    const float x = stops ? 2.0F - 2.0F / static_cast<float>(i + 1) : 4.0F * i;
    out.waypoints.insert(out.waypoints.end(), {x, 0.02F * i});
  }
  for (int i = 0; i < 3; ++i) {
    out.future.push_back(stops ? 0.0F : speed);
    out.decisions.push_back(stops ? 0 : 2);
  }
}

void AddSensors(bool stops, int64_t frame, const SyntheticOptions& options, Recording& out) {
  for (int32_t i = 0; i < (stops ? 200 : 20); ++i) {
    out.cell.push_back((120 + i % 10) * 256 + 150 + i / 10);
    out.count.push_back(3);
  }
  out.lidar_begin.push_back(static_cast<int64_t>(out.cell.size()));
  RgbImage image{options.width, options.height, {}};
  image.pixels.resize(static_cast<size_t>(options.width) * options.height * 3);
  for (size_t i = 0; i < image.pixels.size(); ++i) {
    const bool red = i % 3 == 0;
    image.pixels[i] = static_cast<uint8_t>((red == stops ? 200 : 30) + (i / 3 + frame) % 20);
  }
  auto jpeg = image::EncodeJpeg(image);
  Check(jpeg.status());
  out.jpeg.insert(out.jpeg.end(), jpeg->begin(), jpeg->end());
  out.jpeg_begin.push_back(static_cast<int64_t>(out.jpeg.size()));
}

void WriteTensors(const std::string& path, const Recording& r, int64_t n) {
  model::SafetensorsWriter writer;
  const auto add = [&](const char* name, DType dtype, std::vector<int64_t> shape,
                       const auto& values) {
    using Value = typename std::decay_t<decltype(values)>::value_type;
    Check(writer.AddValues<Value>(name, dtype, std::move(shape), values));
  };
  const std::vector<double> pose(static_cast<size_t>(n) * 3, 0.0);
  const std::vector<int64_t> revision(static_cast<size_t>(n), 1);
  const std::vector<uint8_t> perturbed(static_cast<size_t>(n), 0);
  const auto size = [](const auto& values) { return static_cast<int64_t>(values.size()); };
  add("time_us", DType::kI64, {n}, r.time_us);
  add("pose", DType::kF64, {n, 3}, pose);
  add("speed_mps", DType::kF32, {n}, r.speed);
  add("target_points_m", DType::kF32, {n, 2, 2}, r.points);
  add("route_revision", DType::kI64, {n}, revision);
  add("route_m", DType::kF32, {n, 20, 2}, r.route);
  add("waypoints_m", DType::kF32, {n, 6, 2}, r.waypoints);
  add("decisions", DType::kU8, {n, 3}, r.decisions);
  add("future_speeds_mps", DType::kF32, {n, 3}, r.future);
  add("usable", DType::kU8, {n}, r.usable);
  add("perturbed", DType::kU8, {n}, perturbed);
  add("lidar_cell", DType::kI32, {size(r.cell)}, r.cell);
  add("lidar_count", DType::kU8, {size(r.count)}, r.count);
  add("lidar_begin", DType::kI64, {n + 1}, r.lidar_begin);
  add("lidar_half", DType::kU8, {n}, r.half);
  add("jpeg", DType::kU8, {size(r.jpeg)}, r.jpeg);
  add("jpeg_begin", DType::kI64, {n + 1}, r.jpeg_begin);
  Check(writer.Write(path));
}

}  // namespace

void WriteSyntheticSplit(const std::string& root, const std::string& split,
                         const SyntheticOptions& options) {
  for (int episode = 0; episode < options.episodes; ++episode) {
    const std::string folder = absl::StrCat(root, "/", split, "/seed_", episode);
    fs::create_directories(folder);
    const bool stops = episode % 2 == 0;
    Recording recording;
    nlohmann::json questions = nlohmann::json::array();
    for (int64_t frame = 0; frame < options.frames; ++frame) {
      recording.time_us.push_back(100'000 * frame);
      // The last frames have no future.
      recording.usable.push_back(frame + 5 < options.frames ? 1 : 0);
      recording.half.push_back(0);
      AddLabels(stops, recording);
      AddSensors(stops, frame, options, recording);
      questions.push_back({{"frame", frame},
                           {"family", "ahead"},
                           {"question", "Is the lane ahead free?"},
                           {"answer", stops ? "no" : "yes"}});
    }
    WriteTensors(folder + "/episode.safetensors", recording, options.frames);
    const nlohmann::json document = {{"format", "automot-driving-episode"},
                                     {"version", 1},
                                     {"split", split},
                                     {"map_seed", episode},
                                     {"frames", options.frames},
                                     {"frame_period_us", 100000},
                                     {"target_points_m", options.target_point_rule},
                                     {"source", "teacher"},
                                     {"questions", questions}};
    Check(model::WriteTextFile(folder + "/episode.json", document.dump()));
  }
}

std::string FreshDirectory(const std::string& name) {
  const fs::path path =
      fs::path(testing::TempDir()) / absl::StrCat("automot_train_", getpid(), "_", name);
  fs::remove_all(path);
  fs::create_directories(path);
  return path;
}

}  // namespace automot::train
