// What a recording holds, as JSON: the one form of which the text is another view.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "absl/status/statusor.h"
#include "tools/recording/entry_reader.h"

namespace automot::tools {

struct ReportOptions {
  bool plans = false;      // one line for each
  bool snapshots = false;  // with statistics of each layer; reads and verifies keys and values
  std::string session;     // only the sessions of this name; empty: all
};

// Keys: recording (start, entries, tail), sessions, and plans and snapshots where asked for. Damage
// ends the report early and stands in `tail`.
absl::StatusOr<nlohmann::ordered_json> ReportOn(EntryReader& reader, const ReportOptions& options);

}  // namespace automot::tools
