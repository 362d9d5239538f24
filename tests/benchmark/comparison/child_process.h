// A child process that is spoken to by lines of JSON: what is measured apart from the measuring
// program, so that its processor time is its own.
#pragma once

#include <sys/types.h>

#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "nlohmann/json.hpp"

namespace automot::benchmarks {

// Ends the child when destroyed, by the end of its input, and waits for it. Throws
// std::runtime_error where the child does not answer, or answers {"error": TEXT}.
class ChildProcess {
 public:
  explicit ChildProcess(const std::vector<std::string>& command);
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  void Write(const std::string& line);
  nlohmann::json Read();
  nlohmann::json Ask(const nlohmann::json& request) {
    Write(request.dump());
    return Read();
  }

 private:
  const std::string name_;
  pid_t child_ = -1;
  FILE* to_child_ = nullptr;
  FILE* from_child_ = nullptr;
};

// The child's side: says `greeting`, then answers each line of its input until that ends. Each
// answer is completed by "cpu_s", user and system time of the process since its start. What
// `answer` throws is answered as an error.
void AnswerParent(const nlohmann::json& greeting,
                  const std::function<nlohmann::json(const nlohmann::json&)>& answer);

}  // namespace automot::benchmarks
