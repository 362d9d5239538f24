// How programs of this project end: one line on stderr that says why, and a status.
#pragma once

#include <cstdio>
#include <string>

#include "absl/status/status.h"

namespace automot {

inline constexpr int kExitFailed = 1;    // could not do what was asked
inline constexpr int kExitBadUsage = 2;  // was asked for what does not exist

// Says why the program ends; returns `exit_code`, for main.
inline int EndProgram(const char* program, int exit_code, const absl::Status& why) {
  std::fprintf(stderr, "%s: %s\n", program, std::string(why.message()).c_str());
  return exit_code;
}

}  // namespace automot
