#include "tests/benchmark/comparison/report.h"

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <stdexcept>

namespace automot::benchmarks {
namespace {

// What follows ": " on the first line that begins with `key`; the whole line for an empty key.
std::string FirstLine(const char* path, const std::string& key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.rfind(key, 0) == 0) return key.empty() ? line : line.substr(line.find(": ") + 2);
  }
  return "unknown";
}

std::string Variable(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "unknown" : value;
}

}  // namespace

void Say(const std::string& name, const std::string& value) {
  std::printf("  %-36s %s\n", name.c_str(), value.c_str());
  std::fflush(stdout);
}

std::string Number(const char* format, double value) {
  char text[64];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

std::string Milliseconds(const ArmTimes& arm) {
  return Number("wall %9.3f ms   ", 1e3 * Median(arm.wall_s)) +
         Number("cpu %9.3f ms", 1e3 * Median(arm.cpu_s));
}

void ReportTimes(const std::vector<ArmTimes>& times, nlohmann::json* result) {
  for (const ArmTimes& arm : times) {
    Say(arm.name, Milliseconds(arm));
    (*result)["arms"][arm.name] = {{"wall_s", arm.wall_s}, {"cpu_s", arm.cpu_s}};
  }
}

const ArmTimes& Find(const std::vector<ArmTimes>& times, const std::string& name) {
  for (const ArmTimes& arm : times) {
    if (arm.name == name) return arm;
  }
  throw std::runtime_error("no arm \"" + name + "\"");
}

void ReportRatio(const std::string& name, const ArmTimes& numerator, const ArmTimes& denominator,
                 double limit, nlohmann::json* result) {
  const Ratio wall = RatioOf(numerator.wall_s, denominator.wall_s);
  const Ratio cpu = RatioOf(numerator.cpu_s, denominator.cpu_s);
  nlohmann::json& entry = (*result)["ratios"][name];
  entry = {{"wall", ToJson(wall)}, {"cpu", ToJson(cpu)}};
  std::string line = ToText(cpu) + " cpu   " + ToText(wall) + " wall";
  if (limit > 0) {
    const std::string verdict = Verdict(cpu, limit);
    line += Number("   at least %.2fx: ", limit) + verdict;
    entry["limit"] = limit;
    entry["verdict"] = verdict;
  }
  Say(name, line);
}

nlohmann::json Provenance(int argc, char** argv) {
  std::string command = argv[0];
  for (int i = 1; i < argc; ++i) {
    command.push_back(' ');
    command.append(argv[i]);
  }
  return {{"machine", FirstLine("/proc/cpuinfo", "model name")},
          {"commit", Variable("AUTOMOT_COMMIT")},
          {"command", command},
          {"load", FirstLine("/proc/loadavg", "")},
          {"onednn_max_cpu_isa", Variable("ONEDNN_MAX_CPU_ISA")}};
}

}  // namespace automot::benchmarks
