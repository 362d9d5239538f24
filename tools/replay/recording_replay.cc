#include "tools/replay/recording_replay.h"

#include <utility>

#include "common/conversion/snapshot_header.h"
#include "common/status/status_macros.h"
#include "tools/replay/session_replay.h"

namespace automot::tools {
namespace {

// Wall times differ from run to run.
constexpr char kWallTimes[] = "provenance.timing";

absl::StatusOr<planning::PlanningEngineOptions> EngineOptions(const v1::RecordingStart& start,
                                                              const ReplayOptions& options) {
  planning::PlanningEngineOptions engine;
  engine.session_limit = 2;
  engine.loop.max_batch = 1;
  engine.session_lease = absl::Hours(24 * 365);
  engine.memory.process_bytes = options.snapshot_memory_bytes;
  if (start.retained_versions() != 0) engine.retained_versions = start.retained_versions();
  if (start.context_element_type() != v1::ELEMENT_TYPE_UNSPECIFIED) {
    AUTOMOT_ASSIGN_OR_RETURN(engine.context_element_type,
                             conversion::ElementTypeFromProto(start.context_element_type()));
  }
  return engine;
}

}  // namespace

absl::StatusOr<ReplayReport> ReplayRecording(EntryReader& reader, const RecordingIndex& index,
                                             planning::ActionExpert* expert,
                                             const ReplayOptions& options) {
  ReplayReport report;
  const std::string& revision = expert->info().model_revision;
  if (index.start.model_revision() != revision) {
    report.Add({1, "", 0, "model_revision", index.start.model_revision(), revision});
    return report;
  }
  ReplayChannel channel;
  const MonotonicClock clock;
  planning::PlanningMetrics metrics;
  SessionReplay* current = nullptr;
  AUTOMOT_ASSIGN_OR_RETURN(planning::PlanningEngineOptions engine_options,
                           EngineOptions(index.start, options));
  engine_options.mint_epoch = [&current](const planning::Session&, uint64_t last) {
    return current != nullptr ? current->NextEpoch(last) : last + 1;
  };
  context::KvBufferPool pool({.byte_budget = options.snapshot_memory_bytes});
  planning::SnapshotEntryReader snapshots(&pool);
  AUTOMOT_ASSIGN_OR_RETURN(
      const auto engine,
      planning::PlanningEngine::Create(engine_options, expert, &channel, &clock, &metrics));
  const SessionReplay::Shared shared{
      engine.get(), &channel, &reader, &snapshots, {options.tolerance, {kWallTimes}}, &report};
  for (const auto& [key, session] : index.sessions) {
    if (!options.session.empty() && session.name != options.session) continue;
    SessionReplay replay(&shared, &session);
    current = &replay;
    AUTOMOT_RETURN_IF_ERROR(replay.Run());
    current = nullptr;
  }
  return report;
}

}  // namespace automot::tools
