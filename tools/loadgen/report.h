// A load's report: JSON for machines, a few lines for people.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "automot/v1/planning_service.pb.h"
#include "tools/loadgen/bounds.h"
#include "tools/loadgen/load_run.h"

namespace automot::loadgen {

// Raised where a reader of the old one would misread the new one.
inline constexpr char kReportSchema[] = "automot-loadgen-1";

struct ReportInputs {
  std::string command;  // as it was started
  automot::v1::GetPlanningStatusResponse server;
  LoadOptions options;
  std::vector<RunResult> runs;  // one, or one for each point of a sweep
  std::vector<Bound> bounds;    // of every run
};

nlohmann::json ReportOf(const ReportInputs& inputs);
// True where nothing was wrong and every bound holds.
bool Passed(const ReportInputs& inputs);

// "12.0 s | 240 ticks | on time 98.1 % ... " in one line.
std::string ProgressLine(absl::Duration since_start, const Tally& tally);
// The block that a terminal shows again and again.
std::string LiveBlock(absl::Duration since_start, const Tally& tally);
// The end of one run.
std::string SummaryOf(const RunResult& result, const std::vector<BoundVerdict>& verdicts);

}  // namespace automot::loadgen
