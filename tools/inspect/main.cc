// automot-inspect: shows what a recording of the planning service holds.
//
// Exit status: 0; 1 a recording that cannot be read, or is damaged (what is before the damage is
// shown); 2 bad usage.
#include <cstdio>
#include <string>

#include "common/runtime/program_exit.h"
#include "common/runtime/program_flags.h"
#include "common/status/status_macros.h"
#include "tools/inspect/recording_report.h"
#include "tools/inspect/text_report.h"

namespace {

using namespace automot;  // NOLINT(google-build-using-namespace): this program's own

constexpr char kProgram[] = "automot-inspect";

struct Flags {
  std::string recording;
  bool json = false;
  tools::ReportOptions report;
};

absl::StatusOr<Flags> Parse(int argc, char** argv) {
  Flags flags;
  CLI::App app{"Shows what a recording of the planning service holds."};
  app.add_option("recording", flags.recording,
                 "What --record wrote: its folder, one run's folder, or one file")
      ->required();
  app.add_flag("--plans", flags.report.plans, "A line for each plan: its snapshot, ages, reasons");
  app.add_flag("--snapshots", flags.report.snapshots,
               "Each snapshot: header, and statistics of keys and values layer by layer");
  app.add_option("--session", flags.report.session, "Only the sessions of this name");
  app.add_flag("--json", flags.json, "JSON instead of text");
  AUTOMOT_RETURN_IF_ERROR(ParseFlags(app, argc, argv));
  return flags;
}

absl::StatusOr<int> Run(const Flags& flags) {
  AUTOMOT_ASSIGN_OR_RETURN(tools::EntryReader reader, tools::EntryReader::Open(flags.recording));
  AUTOMOT_ASSIGN_OR_RETURN(const auto report, tools::ReportOn(reader, flags.report));
  using Json = nlohmann::ordered_json;
  const std::string text = flags.json
                               ? report.dump(2, ' ', false, Json::error_handler_t::replace) + "\n"
                               : tools::ToText(report);
  std::fputs(text.c_str(), stdout);
  return reader.tail().kind == tools::RecordingTail::Kind::kDamaged ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
  const auto flags = Parse(argc, argv);
  if (!flags.ok()) return EndProgram(kProgram, kExitBadUsage, flags.status());
  const auto exit = Run(*flags);
  return exit.ok() ? *exit : EndProgram(kProgram, kExitFailed, exit.status());
}
