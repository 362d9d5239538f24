// Runs one of this build's programs to its end and keeps what it said.
#pragma once

#include <string>
#include <vector>

namespace automot::support {

struct ProgramResult {
  int exit_code = 0;  // or -signal
  std::string out;    // standard output
  std::string err;    // standard error
};

// program: a name in the build's bin folder. Waits for it; any thread.
ProgramResult RunProgram(const std::string& program, const std::vector<std::string>& arguments);

}  // namespace automot::support
