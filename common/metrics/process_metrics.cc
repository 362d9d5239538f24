#include "common/metrics/process_metrics.h"

#include <sys/resource.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"

namespace automot::metrics {
namespace {

using Samples = std::vector<PolledFamily::Sample>;

std::string ReadAll(const char* path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// Field `number` of /proc/self/stat as proc(5) counts; 0 where it cannot be read. Fields are
// counted behind the program's name, which may hold spaces and brackets.
double StatField(std::size_t number) {
  const std::string text = ReadAll("/proc/self/stat");
  const std::size_t end = text.rfind(')');
  if (end == std::string::npos || end + 2 >= text.size()) return 0.0;
  const std::vector<std::string> fields = absl::StrSplit(text.substr(end + 2), ' ');
  double value = 0.0;
  if (number < 3 || number - 3 >= fields.size() || !absl::SimpleAtod(fields[number - 3], &value)) {
    return 0.0;
  }
  return value;
}

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double OpenFiles() {
  std::error_code error;
  std::filesystem::directory_iterator files("/proc/self/fd", error);
  if (error) return 0.0;
  // The iterator's own descriptor is one of them.
  return static_cast<double>(std::distance(begin(files), end(files))) - 1.0;
}

double FileLimit() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  return static_cast<double>(limit.rlim_cur);
}

// Seconds since the Unix epoch.
double StartTime() {
  const std::string text = ReadAll("/proc/stat");
  const std::size_t line = text.find("btime ");
  if (line == std::string::npos) return 0.0;
  double boot = 0.0;
  if (!absl::SimpleAtod(text.substr(line + 6, text.find('\n', line) - line - 6), &boot)) return 0.0;
  return boot + StatField(22) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

PolledFamily::Source One(double (*read)()) {
  return [read] { return Samples{{{}, read()}}; };
}

}  // namespace

void AddProcessMetrics(Registry* registry) {
  using Type = PolledFamily::Type;
  registry->AddPolled(names::kProcessCpuSecondsTotal, Type::kCounter, One(CpuSeconds));
  registry->AddPolled(names::kProcessResidentMemoryBytes, Type::kGauge, One([] {
                        return StatField(24) * static_cast<double>(sysconf(_SC_PAGESIZE));
                      }));
  registry->AddPolled(names::kProcessVirtualMemoryBytes, Type::kGauge,
                      One([] { return StatField(23); }));
  registry->AddPolled(names::kProcessOpenFds, Type::kGauge, One(OpenFiles));
  registry->AddPolled(names::kProcessMaxFds, Type::kGauge, One(FileLimit));
  registry->AddPolled(names::kProcessThreads, Type::kGauge, One([] { return StatField(20); }));
  registry->AddPolled(names::kProcessStartTimeSeconds, Type::kGauge, One(StartTime));
  registry->AddInfo(names::kBuildInfo, {{"version", AUTOMOT_VERSION}});
}

}  // namespace automot::metrics
