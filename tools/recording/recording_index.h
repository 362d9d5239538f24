// What a recording holds, session by session, without the large parts: a replay reads those when
// it comes to them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "automot/v1/recording.pb.h"
#include "common/types/snapshot_id.h"
#include "tools/recording/entry_reader.h"

namespace automot::tools {

// What a session was asked, in the order in which it took it.
struct RecordedInput {
  uint64_t index = 0;  // of the entry
  EntryPlace place;
  v1::RecordingEntry::WhatCase what = v1::RecordingEntry::WHAT_NOT_SET;
  uint64_t lease = 0, sequence = 0;  // of a plan
};

// An attachment (version 0) or a snapshot; ids without the session.
struct RecordedContext {
  SnapshotId id;
  EntryPlace place;
  bool omitted = false;  // its keys and values are not recorded
};

// A plan that came to its end; in the order of the planning thread.
struct RecordedEnd {
  uint64_t index = 0;
  EntryPlace place;
  uint64_t lease = 0, sequence = 0;
  bool ticked = false;
};

struct RecordedSession {
  uint64_t key = 0;
  std::string name;
  std::vector<RecordedInput> inputs;
  std::vector<RecordedContext> contexts;  // in the order of publication
  std::vector<RecordedEnd> ends;
  std::string dropped;  // why its records end early; empty where they do not
};

struct RecordingIndex {
  v1::RecordingStart start;
  uint64_t entries = 0;
  std::map<uint64_t, RecordedSession> sessions;  // by key: in the order of opening
  RecordingTail tail;
};

// Reads the recording once. Damage ends it early (tail); an error means that there is nothing to
// go by: no readable start, or a format of another version.
absl::StatusOr<RecordingIndex> IndexRecording(EntryReader& reader);

}  // namespace automot::tools
