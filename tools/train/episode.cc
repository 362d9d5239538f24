#include "tools/train/episode.h"

#include <algorithm>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "common/checkpoint/json_file.h"
#include "common/status/status_macros.h"

namespace automot::train {
namespace {

using model::DType;

constexpr int64_t kMaxFrames = int64_t{1} << 24;
constexpr int64_t kHistogramCells = 256 * 256;
constexpr size_t kMaxJsonBytes = size_t{64} << 20;

// Reads one tensor as a typed span and remembers the first thing that does not fit.
class Fields {
 public:
  Fields(const model::SafetensorsFile& file, int64_t frames) : file_(file), frames_(frames) {}

  // rows < 0: any number of rows.
  template <typename T>
  absl::Span<const T> Get(const char* name, DType dtype, int64_t rows,
                          std::vector<int64_t> tail = {}) {
    const model::TensorView* view = file_.Find(name);
    if (view == nullptr) return Fail<T>(name, "is missing");
    if (view->dtype != dtype) return Fail<T>(name, "has another type");
    std::vector<int64_t> wanted = {rows < 0 && !view->shape.empty() ? view->shape[0] : rows};
    wanted.insert(wanted.end(), tail.begin(), tail.end());
    if (view->shape != wanted) {
      return Fail<T>(name, absl::StrCat("is ", model::ShapeText(view->shape), ", must be ",
                                        model::ShapeText(wanted)));
    }
    if (reinterpret_cast<uintptr_t>(view->bytes.data()) % sizeof(T) != 0) {
      return Fail<T>(name, "is not aligned to its element size");
    }
    return {reinterpret_cast<const T*>(view->bytes.data()), view->bytes.size() / sizeof(T)};
  }
  template <typename T>
  absl::Span<const T> PerFrame(const char* name, DType dtype, std::vector<int64_t> tail = {}) {
    return Get<T>(name, dtype, frames_, std::move(tail));
  }
  const absl::Status& status() const { return status_; }

 private:
  template <typename T>
  absl::Span<const T> Fail(const char* name, const std::string& what) {
    status_.Update(absl::InvalidArgumentError(absl::StrCat(file_.path(), ": ", name, " ", what)));
    return {};
  }

  const model::SafetensorsFile& file_;
  const int64_t frames_;
  absl::Status status_;
};

bool IsBegin(absl::Span<const int64_t> begin, size_t end) {
  return !begin.empty() && begin.front() == 0 && std::is_sorted(begin.begin(), begin.end()) &&
         begin.back() == static_cast<int64_t>(end);
}

}  // namespace

absl::StatusOr<std::unique_ptr<const Episode>> Episode::Open(const std::string& directory) {
  std::unique_ptr<Episode> episode(new Episode());
  episode->id_ = std::filesystem::path(directory).filename();
  AUTOMOT_RETURN_IF_ERROR(episode->ReadQuestions(directory + "/episode.json"));
  AUTOMOT_RETURN_IF_ERROR(episode->ReadTensors(directory + "/episode.safetensors"));
  AUTOMOT_RETURN_IF_ERROR(episode->CheckRanges());
  return std::unique_ptr<const Episode>(std::move(episode));
}

absl::Status Episode::ReadQuestions(const std::string& path) {
  AUTOMOT_ASSIGN_OR_RETURN(const std::string text, model::ReadTextFile(path, kMaxJsonBytes));
  AUTOMOT_ASSIGN_OR_RETURN(const nlohmann::json document, model::ParseJson(text, path));
  model::JsonFields fields(document, path);
  fields.OnlyText("format", "automot-driving-episode");
  fields.Int("version", 1, 1);
  frames_ = fields.Int("frames", 1, kMaxFrames);
  AUTOMOT_RETURN_IF_ERROR(fields.status());
  // Points are named by their rule, or given as distances by whoever has a rule of his own.
  if (const auto rule = document.find("target_points_m");
      rule != document.end() && rule->is_string()) {
    target_point_rule_ = rule->get<std::string>();
  }
  const auto list = document.find("questions");
  if (list == document.end()) return absl::OkStatus();
  for (const nlohmann::json& item : *list) {
    model::JsonFields question(item, absl::StrCat(path, ": questions"));
    questions_.push_back({question.Int("frame", 0, frames_ - 1), question.Text("family"),
                          question.Text("question"), question.Text("answer")});
    AUTOMOT_RETURN_IF_ERROR(question.status());
  }
  return absl::OkStatus();
}

absl::Status Episode::ReadTensors(const std::string& path) {
  AUTOMOT_ASSIGN_OR_RETURN(file_, model::SafetensorsFile::Open(path));
  Fields fields(*file_, frames_);
  time_us = fields.PerFrame<int64_t>("time_us", DType::kI64);
  speed_mps = fields.PerFrame<float>("speed_mps", DType::kF32);
  target_points = fields.PerFrame<float>("target_points_m", DType::kF32, {2, 2});
  route = fields.PerFrame<float>("route_m", DType::kF32, {20, 2});
  waypoints = fields.PerFrame<float>("waypoints_m", DType::kF32, {6, 2});
  decisions = fields.PerFrame<uint8_t>("decisions", DType::kU8, {3});
  future_speeds = fields.PerFrame<float>("future_speeds_mps", DType::kF32, {3});
  usable = fields.PerFrame<uint8_t>("usable", DType::kU8);
  lidar_half = fields.PerFrame<uint8_t>("lidar_half", DType::kU8);
  lidar_cell_ = fields.Get<int32_t>("lidar_cell", DType::kI32, -1);
  lidar_count_ = fields.Get<uint8_t>("lidar_count", DType::kU8, -1);
  lidar_begin_ = fields.Get<int64_t>("lidar_begin", DType::kI64, frames_ + 1);
  jpeg_ = fields.Get<uint8_t>("jpeg", DType::kU8, -1);
  jpeg_begin_ = fields.Get<int64_t>("jpeg_begin", DType::kI64, frames_ + 1);
  return fields.status();
}

absl::Status Episode::CheckRanges() const {
  const auto bad = [&](const char* what) {
    return absl::InvalidArgumentError(absl::StrCat(file_->path(), ": ", what));
  };
  if (lidar_count_.size() != lidar_cell_.size() || !IsBegin(lidar_begin_, lidar_cell_.size())) {
    return bad("lidar_begin does not divide lidar_cell and lidar_count");
  }
  if (!IsBegin(jpeg_begin_, jpeg_.size())) return bad("jpeg_begin does not divide jpeg");
  if (std::any_of(lidar_cell_.begin(), lidar_cell_.end(),
                  [](int32_t cell) { return cell < 0 || cell >= kHistogramCells; })) {
    return bad("lidar_cell has a value outside [0, 65536)");
  }
  if (std::any_of(decisions.begin(), decisions.end(), [](uint8_t d) { return d > 3; })) {
    return bad("decisions has a value above 3");
  }
  if (std::adjacent_find(time_us.begin(), time_us.end(), std::greater_equal<>()) != time_us.end()) {
    return bad("time_us is not strictly increasing");
  }
  return absl::OkStatus();
}

std::string_view Episode::Jpeg(int64_t frame) const {
  const auto at = static_cast<size_t>(frame);
  const auto begin = static_cast<size_t>(jpeg_begin_[at]);
  return {reinterpret_cast<const char*>(jpeg_.data()) + begin,
          static_cast<size_t>(jpeg_begin_[at + 1]) - begin};
}

void Episode::FillLidar(int64_t frame, absl::Span<uint8_t> counts) const {
  const auto at = static_cast<size_t>(frame);
  for (auto i = static_cast<size_t>(lidar_begin_[at]);
       i < static_cast<size_t>(lidar_begin_[at + 1]); ++i) {
    counts[static_cast<size_t>(lidar_cell_[i])] += lidar_count_[i];
  }
}

}  // namespace automot::train
