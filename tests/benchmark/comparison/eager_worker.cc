#include "tests/benchmark/comparison/eager_worker.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <stdexcept>

namespace automot::benchmarks {
namespace {

struct Pipe {
  int read = -1, write = -1;
};

Pipe OpenPipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("cannot open a pipe");
  return {ends[0], ends[1]};
}

}  // namespace

EagerWorker::EagerWorker(const std::vector<std::string>& command) {
  std::vector<std::string> words = command;
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const Pipe down = OpenPipe(), up = OpenPipe();
  child_ = ::fork();
  if (child_ < 0) throw std::runtime_error("cannot start " + command.at(0));
  if (child_ == 0) {
    ::dup2(down.read, STDIN_FILENO);
    ::dup2(up.write, STDOUT_FILENO);
    ::execvp(argv[0], argv.data());
    ::_exit(127);
  }
  ::close(down.read);
  ::close(up.write);
  to_child_ = ::fdopen(down.write, "w");
  from_child_ = ::fdopen(up.read, "r");
  const nlohmann::json ready = ReadLine();
  check_ = ready.at("check").get<std::vector<double>>();
  attention_ = ready.at("attention").get<std::string>();
}

EagerWorker::~EagerWorker() {
  std::fclose(to_child_);  // the end of its input ends the child
  std::fclose(from_child_);
  ::waitpid(child_, nullptr, 0);
}

nlohmann::json EagerWorker::ReadLine() {
  char* line = nullptr;
  std::size_t capacity = 0;
  const ssize_t length = ::getline(&line, &capacity, from_child_);
  const std::string text = length > 0 ? std::string(line, static_cast<std::size_t>(length)) : "";
  std::free(line);
  if (text.empty()) throw std::runtime_error("the eager implementation ended early");
  return nlohmann::json::parse(text);
}

std::vector<StepTime> EagerWorker::Run(int steps) {
  std::fprintf(to_child_, "%d\n", steps);
  std::fflush(to_child_);
  std::vector<StepTime> times;
  for (const auto& step : ReadLine()) times.push_back({step.at(0), step.at(1)});
  return times;
}

}  // namespace automot::benchmarks
