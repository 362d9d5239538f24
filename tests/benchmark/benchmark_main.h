// The main of the project's benchmarks: Google Benchmark's own flags, plus --json FILE.
#pragma once

#include <benchmark/benchmark.h>

#include <string>
#include <vector>

namespace automot {

inline int RunBenchmarks(const std::vector<std::string>& arguments) {
  std::vector<std::string> translated = arguments;
  for (std::size_t i = 1; i + 1 < translated.size(); ++i) {
    if (translated[i] != "--json") continue;
    translated[i] = "--benchmark_out=" + translated[i + 1];
    translated[i + 1] = "--benchmark_out_format=json";
  }
  std::vector<char*> pointers;
  for (std::string& argument : translated) pointers.push_back(argument.data());
  int count = static_cast<int>(pointers.size());
  benchmark::Initialize(&count, pointers.data());
  if (benchmark::ReportUnrecognizedArguments(count, pointers.data())) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}

}  // namespace automot
