// automot-loadgen: many vehicles that do not exist, at rates of their own, and what came of it.
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <fstream>
#include <thread>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/runtime/program_exit.h"
#include "common/runtime/termination.h"
#include "common/status/status_macros.h"
#include "tools/loadgen/loadgen_flags.h"
#include "tools/loadgen/report.h"

namespace {

using namespace automot;           // NOLINT(google-build-using-namespace): this program's own
using namespace automot::loadgen;  // NOLINT(google-build-using-namespace)

constexpr char kProgram[] = "automot-loadgen";

std::string CommandLine(int argc, char** argv) {
  std::string line = kProgram;
  for (int i = 1; i < argc; ++i) absl::StrAppend(&line, " ", argv[i]);
  return line;
}

std::string RandomPrefix() {
  unsigned char bytes[6] = {};
  if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes)) return "load";
  return "load-" + absl::BytesToHexString(
                       absl::string_view(reinterpret_cast<const char*>(bytes), sizeof(bytes)));
}

// On a terminal one block that is drawn over itself; plain lines otherwise.
class View {
 public:
  void Show(absl::Duration since_start, const Tally& tally) {
    if (!terminal_) {
      std::fprintf(stderr, "%s\n", ProgressLine(since_start, tally).c_str());
      return;
    }
    const std::string block = LiveBlock(since_start, tally);
    Clear();
    std::fputs(block.c_str(), stderr);
    lines_ = static_cast<int>(std::count(block.begin(), block.end(), '\n'));
  }
  void Clear() {
    if (lines_ > 0) std::fprintf(stderr, "\x1b[%dA\x1b[J", lines_);
    lines_ = 0;
  }

 private:
  const bool terminal_ = isatty(STDERR_FILENO) == 1;
  int lines_ = 0;
};

absl::Status WriteJson(const std::string& file, const nlohmann::json& report) {
  if (file.empty()) return absl::OkStatus();
  if (file == "-") {
    std::printf("%s\n", report.dump(2).c_str());
    return absl::OkStatus();
  }
  std::ofstream stream(file);
  stream << report.dump(2) << "\n";
  stream.close();
  return stream ? absl::OkStatus() : absl::UnavailableError(absl::StrCat("cannot write ", file));
}

absl::Status Meet(LoadgenFlags& flags, ReportInputs* inputs) {
  LoadOptions& load = flags.load;
  AUTOMOT_ASSIGN_OR_RETURN(load.target.credentials, rpc::ChannelCredentialsFor(flags.tls));
  for (const std::string& address : load.target.addresses) {
    AUTOMOT_ASSIGN_OR_RETURN(inputs->server, AwaitServer(load.target, address, flags.wait_ready));
  }
  if (inputs->server.camera_width() > 0) {
    load.payload.camera_width = static_cast<int>(inputs->server.camera_width());
    load.payload.camera_height = static_cast<int>(inputs->server.camera_height());
  }
  if (load.name_prefix.empty()) load.name_prefix = RandomPrefix();
  inputs->options = load;
  inputs->bounds = flags.bounds;
  return absl::OkStatus();
}

absl::Status RunAll(LoadgenFlags& flags, ReportInputs* inputs, const std::atomic<bool>& stop) {
  AUTOMOT_RETURN_IF_ERROR(Meet(flags, inputs));
  const bool sweep = !flags.sweep.empty();
  const std::vector<double> loads = sweep ? flags.sweep : std::vector<double>{1.0};
  View view;
  for (std::size_t i = 0; i < loads.size() && !stop; ++i) {
    LoadOptions load = flags.load;
    load.ramp = load.ramp.Times(loads[i]);
    if (sweep) load.name_prefix = absl::StrCat(load.name_prefix, "-", i);
    AUTOMOT_ASSIGN_OR_RETURN(
        RunResult result,
        RunLoad(load, [&](absl::Duration at, const Tally& tally) { view.Show(at, tally); }, &stop));
    view.Clear();
    std::fputs(SummaryOf(result, CheckBounds(flags.bounds, result)).c_str(), stderr);
    inputs->runs.push_back(std::move(result));
  }
  return WriteJson(flags.json_file, ReportOf(*inputs));
}

}  // namespace

int main(int argc, char** argv) {
  static TerminationSignals signals;
  auto flags = ParseLoadgenFlags(argc, argv);
  if (!flags.ok()) return EndProgram(kProgram, kExitBadUsage, flags.status());
  static std::atomic<bool> stop{false};
  std::thread([] {  // ends with the process
    signals.Wait();
    stop = true;
  })
      .detach();
  ReportInputs inputs;
  inputs.command = CommandLine(argc, argv);
  const absl::Status status = RunAll(*flags, &inputs, stop);
  if (!status.ok()) return EndProgram(kProgram, kExitFailed, status);
  return Passed(inputs) ? 0 : kExitFailed;
}
