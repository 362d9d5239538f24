// One of this build's programs as a child process that the test talks to, stops and kills.
#pragma once

#include <sys/types.h>

#include <cstdio>
#include <string>
#include <vector>

namespace automot::support {

// Not thread-safe. What still runs when the object goes is killed.
class RunningProgram {
 public:
  // program: a name in the build's bin folder.
  RunningProgram(const std::string& program, const std::vector<std::string>& arguments);
  RunningProgram(const RunningProgram&) = delete;
  RunningProgram& operator=(const RunningProgram&) = delete;
  ~RunningProgram();

  // The next line of its standard output, without the line's end; empty at the end.
  std::string ReadLine();
  // Reads a line of JSON such as {"event":"listening","planning":"..."}, and gives the value of
  // `key`; empty where the line is another one or has no such key.
  std::string ReadAddress(const std::string& key);
  // The same of the line that ReadAddress read last.
  std::string Address(const std::string& key) const;

  void Signal(int signal) const;
  // Waits for its end: exit status, or -signal.
  int Wait();
  // All that it has written to its standard error so far.
  std::string Errors() const;

 private:
  pid_t pid_ = -1;
  FILE* output_ = nullptr;
  FILE* errors_ = nullptr;
  std::string listening_;
};

}  // namespace automot::support
