// One recorded session, done again: its inputs in the order in which they were taken in, its ticks
// in the order of the planning thread, and before each tick the snapshots that it saw.
//
// Not thread-safe. The engine plans nothing else meanwhile.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/planning/planning_engine.h"
#include "services/planning/recording/snapshot_entries.h"
#include "tools/recording/recording_index.h"
#include "tools/replay/message_difference.h"
#include "tools/replay/replay_channel.h"
#include "tools/replay/replay_report.h"

namespace automot::tools {

using LeaseMap = std::map<uint64_t, uint64_t>;  // of the recording, to the replay's own

class SessionReplay {
 public:
  // What all sessions of a replay share; outlives them.
  struct Shared {
    planning::PlanningEngine* engine = nullptr;
    ReplayChannel* channel = nullptr;
    EntryReader* reader = nullptr;
    planning::SnapshotEntryReader* snapshots = nullptr;
    ComparisonOptions comparison;
    ReplayReport* report = nullptr;
  };

  SessionReplay(const Shared* shared, const RecordedSession* session)
      : shared_(*shared), session_(*session) {}

  // Errors: the recording cannot be read. Differences are the report's.
  absl::Status Run();

  // Epoch of the attachment that is being made; the engine asks (PlanningEngineOptions).
  uint64_t NextEpoch(uint64_t last);

 private:
  using PlanKey = std::pair<uint64_t, uint64_t>;  // lease, sequence

  absl::StatusOr<v1::RecordingEntry> Read(EntryPlace place) const;
  absl::Status Replay(const RecordedEnd& end);
  absl::Status TakeInputsThrough(const PlanKey& plan);
  absl::Status TakeInput(const RecordedInput& input);
  void TakePlan(const v1::PlanTaken& taken, const RecordedInput& input);
  absl::Status OpenSession(const v1::SessionOpened& opened, const RecordedInput& input);
  absl::Status Pin(const v1::ContextPinned& pinned, const RecordedInput& input);
  absl::Status Show(const SnapshotId& seen);
  absl::Status Publish(const RecordedContext& context);
  void Compare(const v1::PlanEnded& ended, const planning::PlanWork& work, uint64_t index);
  void Differs(uint64_t index, uint64_t sequence, std::string field, std::string recorded,
               std::string replayed);
  void Differs(uint64_t index, uint64_t sequence, int recorded, const absl::Status& replayed);
  void GiveUp(std::string why);

  const Shared& shared_;
  const RecordedSession& session_;
  size_t next_input_ = 0;
  size_t next_context_ = 0;
  std::map<PlanKey, std::unique_ptr<planning::PlanWork>> taken_;  // in, not ended
  std::string token_;
  uint64_t lease_ = 0;
  LeaseMap leases_;
  uint32_t episode_ = 1;
  bool open_ = false;
  std::string gave_up_;  // why no further plan can be replayed
};

}  // namespace automot::tools
