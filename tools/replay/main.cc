// automot-replay: does a recorded run again and names the first difference.
//
// Exit status: 0 every recorded plan came out the same; 1 a difference, or a recording that cannot
// be read; 2 bad usage; 3 no difference, but plans that could not be replayed.
#include <cstdio>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/conversion/snapshot_header.h"
#include "common/logging/log.h"
#include "common/runtime/cpu_isa.h"
#include "common/runtime/program_exit.h"
#include "common/runtime/program_flags.h"
#include "common/status/status_macros.h"
#include "services/planning/torch_action_expert.h"
#include "tools/replay/recording_replay.h"

namespace {

using namespace automot;  // NOLINT(google-build-using-namespace): this program's own

constexpr char kProgram[] = "automot-replay";
constexpr int kExitNotAll = 3;

struct Flags {
  std::string recording;
  std::string checkpoint;
  std::string device;
  int planner_threads = 0;
  double snapshot_memory_gib = 8.0;
  tools::ReplayOptions replay;
};

absl::StatusOr<Flags> Parse(int argc, char** argv) {
  Flags flags;
  CLI::App app{
      "Does a recorded run of the planning service again, and names the first difference."};
  app.add_option("recording", flags.recording,
                 "What --record wrote: its folder, one run's folder, or one file")
      ->required();
  app.add_option("--checkpoint", flags.checkpoint, "Checkpoint that served then")->required();
  app.add_option("--device", flags.device, "Device to run on instead of the recorded one");
  app.add_option("--planner-threads", flags.planner_threads,
                 "Threads of one operation instead of the recorded number; results may then differ")
      ->check(CLI::Range(1, 1024));
  app.add_option("--tolerance", flags.replay.tolerance,
                 "Largest difference of numbers; 0: they must be the same bit for bit")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--session", flags.replay.session, "Only the sessions of this name");
  app.add_option("--snapshot-memory-gib", flags.snapshot_memory_gib, "Budget of snapshots")
      ->check(CLI::Range(0.001, 4096.0))
      ->capture_default_str();
  AUTOMOT_RETURN_IF_ERROR(ParseFlags(app, argc, argv));
  flags.replay.snapshot_memory_bytes =
      static_cast<uint64_t>(flags.snapshot_memory_gib * static_cast<double>(1ULL << 30));
  return flags;
}

planning::TorchActionExpertOptions ExpertOptions(const Flags& flags,
                                                 const v1::RecordingStart& start) {
  planning::TorchActionExpertOptions expert;
  expert.checkpoint = flags.checkpoint;
  expert.dtype = start.dtype();
  expert.device = flags.device.empty() ? start.device() : flags.device;
  expert.bidirectional_instruction = start.bidirectional_instruction();
  expert.use_ema = start.use_ema();
  expert.threads =
      flags.planner_threads > 0 ? flags.planner_threads : static_cast<int>(start.planner_threads());
  return expert;
}

// Each vehicle is replayed by itself.
void PrintHint(const tools::RecordingIndex& index, const tools::ReplayReport& report,
               double tolerance) {
  if (report.differences == 0 || tolerance > 0.0 || index.start.max_batch() <= 1) return;
  std::printf(
      "the recorded run planned up to %u vehicles together, whose last bits may differ: compare "
      "with --tolerance, or record with --reproducible\n",
      index.start.max_batch());
}

void Print(const tools::RecordingTail& tail, const tools::ReplayReport& report) {
  using Kind = tools::RecordingTail::Kind;
  if (tail.kind == Kind::kCut) std::printf("the recording was cut off: %s\n", tail.where.c_str());
  if (tail.kind == Kind::kDamaged) std::printf("damaged: %s\n", tail.where.c_str());
  for (const tools::NotReplayed& left : report.not_replayed) {
    std::printf("not replayed: session '%s', %llu plans: %s\n", left.session.c_str(),
                static_cast<unsigned long long>(left.plans), left.why.c_str());
  }
  if (report.first) {
    const tools::ReplayDifference& first = *report.first;
    std::printf(
        "first difference: record %llu, session '%s', sequence %llu, field %s: recorded "
        "%s, replayed %s\n",
        static_cast<unsigned long long>(first.index), first.session.c_str(),
        static_cast<unsigned long long>(first.sequence), first.field.c_str(),
        first.recorded.c_str(), first.replayed.c_str());
  }
  std::printf("replayed %llu plans of %llu sessions on %llu snapshots: %llu differences\n",
              static_cast<unsigned long long>(report.plans),
              static_cast<unsigned long long>(report.sessions),
              static_cast<unsigned long long>(report.snapshots),
              static_cast<unsigned long long>(report.differences));
}

absl::StatusOr<int> Run(const Flags& flags) {
  AUTOMOT_ASSIGN_OR_RETURN(tools::EntryReader reader, tools::EntryReader::Open(flags.recording));
  AUTOMOT_ASSIGN_OR_RETURN(const tools::RecordingIndex index, tools::IndexRecording(reader));
  AUTOMOT_ASSIGN_OR_RETURN(const auto expert,
                           planning::LoadTorchActionExpert(ExpertOptions(flags, index.start)));
  AUTOMOT_ASSIGN_OR_RETURN(const tools::ReplayReport report,
                           tools::ReplayRecording(reader, index, expert.get(), flags.replay));
  Print(index.tail, report);
  PrintHint(index, report, flags.replay.tolerance);
  if (report.differences > 0 || index.tail.kind == tools::RecordingTail::Kind::kDamaged) return 1;
  return report.not_replayed.empty() ? 0 : kExitNotAll;
}

}  // namespace

int main(int argc, char** argv) {
  automot::LimitOneDnnIsa();
  const auto flags = Parse(argc, argv);
  if (!flags.ok()) return EndProgram(kProgram, kExitBadUsage, flags.status());
  logging::SetLevel(logging::Level::kWarning);
  const auto exit = Run(*flags);
  return exit.ok() ? *exit : EndProgram(kProgram, kExitFailed, exit.status());
}
