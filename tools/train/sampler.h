// Which frames a training step sees and how they are disturbed: a pure function of seed, step and
// place in the batch, so that a resumed training goes on with the very samples.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/train/episode.h"

namespace automot::train {

// All episodes of one split.
struct Dataset {
  std::vector<std::unique_ptr<const Episode>> episodes;  // in the order of their folder names
};
// NOT_FOUND where the split has no episode, or as Episode::Open has it.
absl::StatusOr<Dataset> OpenDataset(const std::string& directory, const std::string& split);

struct FrameRef {
  int64_t episode = 0;
  int64_t frame = 0;
  friend auto operator<=>(const FrameRef&, const FrameRef&) = default;
};

struct SamplerOptions {
  uint64_t seed = 1;
  int64_t max_staleness_us = 1'000'000;  // of the context, uniform from 0 over the recorded frames
  int64_t plans_per_context = 4;         // neighbours in a batch that share one context
  int64_t history_frames = 4;
  int64_t history_spacing_us = 250'000;
  // Probabilities, 0..1.
  double braking_share = 0.25;    // of samples, drawn from braking frames alone
  double lidar_dropout = 0.05;    // no LiDAR
  double half_sweep = 0.05;       // one side's LiDAR alone
  double camera_dropout = 0.02;   // no current picture for the BEV encoder
  double history_dropout = 0.05;  // the newest frame is all that the context sees
  double frame_dropout = 0.05;    // of each older frame
  double context_dropout = 0.0;   // the action expert sees nothing of the context
  double flip = 0.0;              // left and right exchanged
  // Families whose questions are never drawn.
  std::vector<std::string> left_out_families;
};

// INVALID_ARGUMENT naming the option and its limits.
absl::Status ValidateSampler(const SamplerOptions& options);

enum class LidarUse : uint8_t { kWhole, kNone, kLeft, kRight };

// One pair of the slow and the fast path.
struct PlanSample {
  FrameRef now;      // the fast step's capture, whose labels are learnt
  FrameRef context;  // the context's capture: its speed and target points are the prompt
  std::vector<FrameRef> history;  // what the context looks at, oldest first
  // The first sample of the batch with the same context and the same `flip`.
  int64_t first_place = 0;
  LidarUse lidar = LidarUse::kWhole;
  bool camera = true;
  bool context_hidden = false;
  bool flip = false;
};

struct QuestionSample {
  FrameRef frame;
  std::vector<FrameRef> history;
  const Question* question = nullptr;
};

// Immutable; any number of threads may draw.
class Sampler {
 public:
  // dataset: borrowed. NOT_FOUND where no frame is usable.
  static absl::StatusOr<Sampler> Create(const Dataset& dataset, const SamplerOptions& options);

  // Places in groups of `plans_per_context` share context, history and flip; each has a capture and
  // disturbances of its own.
  PlanSample Plan(int64_t step, int64_t place) const;
  // Only where there are questions.
  QuestionSample Ask(int64_t step, int64_t place) const;

  int64_t usable_frames() const { return static_cast<int64_t>(usable_.size()); }
  int64_t braking_frames() const { return static_cast<int64_t>(braking_.size()); }
  int64_t questions() const { return static_cast<int64_t>(questions_.size()); }
  int64_t left_out_questions() const { return left_out_questions_; }

 private:
  Sampler(const Dataset& dataset, const SamplerOptions& options)
      : dataset_(&dataset), options_(options) {}

  PlanSample DrawPair(int64_t step, int64_t place) const;

  const Dataset* dataset_;
  SamplerOptions options_;
  std::vector<FrameRef> usable_, braking_;
  std::vector<std::pair<FrameRef, const Question*>> questions_;
  int64_t left_out_questions_ = 0;
};

}  // namespace automot::train
