// Flags of a recording, and its start from them.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "services/planning/planning_engine.h"
#include "services/planning/recording/plan_recording.h"
#include "services/planning/torch_action_expert.h"

namespace automot::planning {

struct RecordingFlags {
  std::string folder;  // empty: nothing is recorded
  bool snapshots = true;
  double budget_mib = 16384.0;
  double file_mib = 256.0;
};

// The struct outlives the parse.
void AddRecordingFlags(CLI::App& app, RecordingFlags& flags);

// What serves, for the recording's first record.
struct RecordedProgram {
  const char* name = "";
  const TorchActionExpertOptions& expert;
  const PlanningEngineOptions& engine;
  const std::string& model_revision;
  const std::string& onednn_max_cpu_isa;
};

// Null where nothing is recorded.
absl::StatusOr<std::unique_ptr<PlanRecording>> StartRecording(const RecordingFlags& flags,
                                                              const RecordedProgram& program,
                                                              const Clock* clock);

// For the metrics; empty where nothing is recorded.
std::function<RecordingStats()> RecordingSource(const PlanRecording* recording);

}  // namespace automot::planning
