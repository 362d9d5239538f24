#include "services/planning/recording/recording_flags.h"

#include <chrono>
#include <utility>

#include "common/conversion/snapshot_header.h"
#include "common/logging/log.h"
#include "common/status/status_macros.h"

namespace automot::planning {
namespace {

uint64_t Bytes(double mib) { return static_cast<uint64_t>(mib * static_cast<double>(1 << 20)); }

v1::RecordingStart Describe(const RecordedProgram& program) {
  v1::RecordingStart start;
  start.set_program(program.name);
  start.set_model_revision(program.model_revision);
  start.set_dtype(program.expert.dtype);
  start.set_device(program.expert.device);
  start.set_bidirectional_instruction(program.expert.bidirectional_instruction);
  start.set_use_ema(program.expert.use_ema);
  start.set_planner_threads(static_cast<uint32_t>(program.expert.threads));
  start.set_max_batch(static_cast<uint32_t>(program.engine.loop.max_batch));
  start.set_retained_versions(program.engine.retained_versions);
  if (program.engine.context_element_type) {
    start.set_context_element_type(
        conversion::ElementTypeToProto(*program.engine.context_element_type));
  }
  start.set_onednn_max_cpu_isa(program.onednn_max_cpu_isa);
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  start.set_started_unix_us(std::chrono::duration_cast<std::chrono::microseconds>(now).count());
  return start;
}

}  // namespace

void AddRecordingFlags(CLI::App& app, RecordingFlags& flags) {
  app.add_option(
      "--record", flags.folder,
      "Folder in which what is asked and answered is recorded, for automot-replay; empty: "
      "nothing is");
  app.add_option_function<std::string>(
         "--record-snapshots",
         [&flags](const std::string& text) { flags.snapshots = text == "on"; },
         "Record keys and values of snapshots, without which nothing can be replayed: on or off "
         "[on]")
      ->check(CLI::IsMember({"on", "off"}));
  app.add_option("--record-budget-mib", flags.budget_mib,
                 "Size at which a recording ends; serving goes on")
      ->check(CLI::Range(1.0, 1e9))
      ->capture_default_str();
  app.add_option("--record-file-mib", flags.file_mib,
                 "Size at which a recording goes on to its next file")
      ->check(CLI::Range(1.0, 1e6))
      ->capture_default_str();
}

absl::StatusOr<std::unique_ptr<PlanRecording>> StartRecording(const RecordingFlags& flags,
                                                              const RecordedProgram& program,
                                                              const Clock* clock) {
  if (flags.folder.empty()) return nullptr;
  if (program.expert.hide_contexts) {
    return absl::InvalidArgumentError("--record: not with --hide-contexts, a replay shows them");
  }
  PlanRecording::Options options;
  options.folder = flags.folder;
  options.files = {.file_bytes = Bytes(flags.file_mib), .total_bytes = Bytes(flags.budget_mib)};
  options.snapshots = flags.snapshots;
  AUTOMOT_ASSIGN_OR_RETURN(auto recording, PlanRecording::Start(options, Describe(program), clock));
  AUTOMOT_LOG(kInfo, "recording", {{"folder", recording->run_folder()}});
  return recording;
}

std::function<RecordingStats()> RecordingSource(const PlanRecording* recording) {
  if (recording == nullptr) return nullptr;
  return [recording] { return recording->stats(); };
}

}  // namespace automot::planning
