#include "tests/benchmark/comparison/child_process.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>
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

double Seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
}

double ProcessSeconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return Seconds(usage.ru_utime) + Seconds(usage.ru_stime);
}

}  // namespace

ChildProcess::ChildProcess(const std::vector<std::string>& command) : name_(command.at(0)) {
  std::vector<std::string> words = command;
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const Pipe down = OpenPipe(), up = OpenPipe();
  child_ = ::fork();
  if (child_ < 0) throw std::runtime_error("cannot start " + name_);
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
}

ChildProcess::~ChildProcess() {
  std::fclose(to_child_);
  std::fclose(from_child_);
  ::waitpid(child_, nullptr, 0);
}

void ChildProcess::Write(const std::string& line) {
  std::fprintf(to_child_, "%s\n", line.c_str());
  std::fflush(to_child_);
}

nlohmann::json ChildProcess::Read() {
  char* line = nullptr;
  std::size_t capacity = 0;
  const ssize_t length = ::getline(&line, &capacity, from_child_);
  const std::string text = length > 0 ? std::string(line, static_cast<std::size_t>(length)) : "";
  std::free(line);
  if (text.empty()) throw std::runtime_error(name_ + " ended early");
  nlohmann::json answer = nlohmann::json::parse(text);
  if (answer.is_object() && answer.contains("error")) {
    throw std::runtime_error(name_ + ": " + answer.at("error").get<std::string>());
  }
  return answer;
}

void AnswerParent(const nlohmann::json& greeting,
                  const std::function<nlohmann::json(const nlohmann::json&)>& answer) {
  std::cout << greeting.dump() << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
    nlohmann::json result;
    try {
      result = answer(nlohmann::json::parse(line));
    } catch (const std::exception& error) {
      result = {{"error", error.what()}};
    }
    result["cpu_s"] = ProcessSeconds();
    std::cout << result.dump() << std::endl;
  }
}

}  // namespace automot::benchmarks
