#include "tools/train/sampler.h"

#include <algorithm>
#include <filesystem>
#include <random>

#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"
#include "services/reasoning/camera_history.h"

namespace automot::train {
namespace {

namespace fs = std::filesystem;

// A frame from which the teacher slows down by at least this much within two seconds.
constexpr float kBrakingMps = 1.0F;

// Apart from the draws of frames at the same place.
constexpr uint64_t kDisturbanceStream = 0xD15702BA9CE5EED5;

// The same numbers on every machine: of the standard library only the engine, whose values the
// standard fixes, not the distributions.
class Draw {
 public:
  Draw(uint64_t seed, int64_t step, int64_t place)
      : engine_(Mix(Mix(Mix(seed) + static_cast<uint64_t>(step)) + static_cast<uint64_t>(place))) {}

  double Share() { return static_cast<double>(engine_() >> 11) * 0x1.0p-53; }
  bool Chance(double probability) { return Share() < probability; }
  size_t Below(size_t count) {
    return std::min(count - 1, static_cast<size_t>(Share() * static_cast<double>(count)));
  }

 private:
  static uint64_t Mix(uint64_t x) {
    x += 0x9E3779B97F4A7C15;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
    return x ^ (x >> 31);
  }
  std::mt19937_64 engine_;
};

bool IsBraking(const Episode& episode, int64_t frame) {
  const auto at = static_cast<size_t>(frame);
  const float speed = episode.speed_mps[at];
  return std::min(episode.future_speeds[3 * at], episode.future_speeds[3 * at + 1]) <
         speed - kBrakingMps;
}

// The frames that the reasoning service would choose for a context at `frame`, had it received the
// older ones only by chance.
std::vector<FrameRef> History(const Episode& episode, FrameRef anchor,
                              const SamplerOptions& options, Draw& draw) {
  const bool none = draw.Chance(options.history_dropout);
  const int64_t newest = episode.time_us[static_cast<size_t>(anchor.frame)];
  const int64_t oldest = newest - options.history_frames * options.history_spacing_us;
  reasoning::CameraHistory history(256);
  const auto add = [&](int64_t frame) {
    auto entry = std::make_shared<CameraFrame>();
    entry->capture_time_us = episode.time_us[static_cast<size_t>(frame)];
    history.Add(std::move(entry));
  };
  add(anchor.frame);
  for (int64_t frame = anchor.frame - 1;
       frame >= 0 && episode.time_us[static_cast<size_t>(frame)] >= oldest; --frame) {
    if (!draw.Chance(options.frame_dropout) && !none) add(frame);
  }
  const reasoning::HistoryGrid grid{.frames = static_cast<int>(options.history_frames),
                                    .spacing_us = options.history_spacing_us};
  std::vector<FrameRef> chosen;
  const std::optional<reasoning::HistorySelection> selection = history.Select(grid, newest);
  for (const reasoning::CameraFramePtr& frame : selection->frames) {
    const auto* const at =
        std::lower_bound(episode.time_us.begin(), episode.time_us.end(), frame->capture_time_us);
    chosen.push_back({anchor.episode, at - episode.time_us.begin()});
  }
  return chosen;
}

// Any capture that may be planned with a context of `context`; `otherwise` where it is not usable.
FrameRef LaterCapture(const Episode& episode, FrameRef context, FrameRef otherwise,
                      int64_t max_staleness_us, Draw& draw) {
  const int64_t begin = episode.time_us[static_cast<size_t>(context.frame)];
  const auto* const end =
      std::upper_bound(episode.time_us.begin(), episode.time_us.end(), begin + max_staleness_us);
  const auto choices = static_cast<size_t>(end - episode.time_us.begin() - context.frame);
  const int64_t frame = context.frame + static_cast<int64_t>(draw.Below(choices));
  const bool usable = episode.usable[static_cast<size_t>(frame)] != 0;
  return usable ? FrameRef{context.episode, frame} : otherwise;
}

}  // namespace

absl::StatusOr<Dataset> OpenDataset(const std::string& directory, const std::string& split) {
  const std::string root = absl::StrCat(directory, "/", split);
  std::vector<std::string> folders;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(root, error)) {
    // Hidden folders are still being written.
    if (entry.path().filename().string().front() != '.' &&
        fs::exists(entry.path() / "episode.json") &&
        fs::exists(entry.path() / "episode.safetensors")) {
      folders.push_back(entry.path());
    }
  }
  if (folders.empty()) return absl::NotFoundError(absl::StrCat(root, ": there is no episode"));
  std::sort(folders.begin(), folders.end());
  Dataset dataset;
  for (const std::string& folder : folders) {
    AUTOMOT_ASSIGN_OR_RETURN(auto episode, Episode::Open(folder));
    dataset.episodes.push_back(std::move(episode));
  }
  return dataset;
}

absl::Status ValidateSampler(const SamplerOptions& options) {
  const std::pair<const char*, double> shares[] = {
      {"braking_share", options.braking_share},     {"lidar_dropout", options.lidar_dropout},
      {"half_sweep", options.half_sweep},           {"camera_dropout", options.camera_dropout},
      {"history_dropout", options.history_dropout}, {"frame_dropout", options.frame_dropout},
      {"context_dropout", options.context_dropout}, {"flip", options.flip}};
  for (const auto& [name, value] : shares) {
    if (value >= 0.0 && value <= 1.0) continue;
    return absl::InvalidArgumentError(absl::StrCat(name, " is ", value, ", must be in [0, 1]"));
  }
  if (options.plans_per_context < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("plans_per_context is ", options.plans_per_context, ", must be at least 1"));
  }
  if (options.max_staleness_us < 0 || options.max_staleness_us > 60'000'000) {
    return absl::InvalidArgumentError(absl::StrCat("max_staleness_us is ", options.max_staleness_us,
                                                   ", must be in [0, 60000000]"));
  }
  return absl::OkStatus();
}

absl::StatusOr<Sampler> Sampler::Create(const Dataset& dataset, const SamplerOptions& options) {
  AUTOMOT_RETURN_IF_ERROR(ValidateSampler(options));
  Sampler sampler(dataset, options);
  for (size_t i = 0; i < dataset.episodes.size(); ++i) {
    const Episode& episode = *dataset.episodes[i];
    const auto index = static_cast<int64_t>(i);
    for (int64_t frame = 0; frame < episode.frames(); ++frame) {
      if (episode.usable[static_cast<size_t>(frame)] == 0) continue;
      sampler.usable_.push_back({index, frame});
      if (IsBraking(episode, frame)) sampler.braking_.push_back({index, frame});
    }
    for (const Question& question : episode.questions()) {
      if (std::ranges::find(options.left_out_families, question.family) !=
          options.left_out_families.end()) {
        ++sampler.left_out_questions_;
        continue;
      }
      sampler.questions_.emplace_back(FrameRef{index, question.frame}, &question);
    }
  }
  if (sampler.usable_.empty()) return absl::NotFoundError("no frame of the dataset is usable");
  return sampler;
}

// A capture, and a context that is older than it by up to the largest staleness.
PlanSample Sampler::DrawPair(int64_t step, int64_t place) const {
  Draw draw(options_.seed, step, place);
  const bool braking = draw.Chance(options_.braking_share) && !braking_.empty();
  const std::vector<FrameRef>& frames = braking ? braking_ : usable_;
  PlanSample sample;
  sample.now = frames[draw.Below(frames.size())];
  const Episode& episode = *dataset_->episodes[static_cast<size_t>(sample.now.episode)];
  const int64_t now = episode.time_us[static_cast<size_t>(sample.now.frame)];
  const auto* const oldest = std::lower_bound(episode.time_us.begin(), episode.time_us.end(),
                                              now - options_.max_staleness_us);
  const auto choices = static_cast<size_t>(sample.now.frame - (oldest - episode.time_us.begin()));
  sample.context = {sample.now.episode,
                    sample.now.frame - static_cast<int64_t>(draw.Below(choices + 1))};
  sample.history = History(episode, sample.context, options_, draw);
  sample.flip = draw.Chance(options_.flip);
  sample.first_place = place;
  return sample;
}

PlanSample Sampler::Plan(int64_t step, int64_t place) const {
  PlanSample sample = DrawPair(step, place - place % options_.plans_per_context);
  Draw draw(options_.seed ^ kDisturbanceStream, step, place);
  if (place != sample.first_place) {
    const Episode& episode = *dataset_->episodes[static_cast<size_t>(sample.context.episode)];
    sample.now = LaterCapture(episode, sample.context, sample.now, options_.max_staleness_us, draw);
  }
  sample.camera = !draw.Chance(options_.camera_dropout);
  if (draw.Chance(options_.half_sweep)) {
    sample.lidar = draw.Chance(0.5) ? LidarUse::kLeft : LidarUse::kRight;
  }
  if (draw.Chance(options_.lidar_dropout)) sample.lidar = LidarUse::kNone;
  sample.context_hidden = draw.Chance(options_.context_dropout);
  return sample;
}

QuestionSample Sampler::Ask(int64_t step, int64_t place) const {
  Draw draw(options_.seed, step, place);
  const auto& [frame, question] = questions_[draw.Below(questions_.size())];
  QuestionSample sample{.frame = frame, .question = question};
  sample.history =
      History(*dataset_->episodes[static_cast<size_t>(frame.episode)], frame, options_, draw);
  return sample;
}

}  // namespace automot::train
