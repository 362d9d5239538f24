// What a fuzz target believes of every input. A violation ends the process, which the fuzzer and
// the replay test both report.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace automot::fuzz {

inline void Check(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "fuzz target: %s does not hold\n", what);
  std::abort();
}

}  // namespace automot::fuzz
