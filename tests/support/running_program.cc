#include "tests/support/running_program.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <stdexcept>

namespace automot::support {

RunningProgram::RunningProgram(const std::string& program,
                               const std::vector<std::string>& arguments) {
  std::vector<std::string> words = {AUTOMOT_BIN_DIR "/" + program};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  int ends[2];
  // Closed in every other child, so that the end of this one is the end of its output.
  if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("cannot make a pipe");
  errors_ = std::tmpfile();
  if (errors_ == nullptr) throw std::runtime_error("cannot create a temporary file");
  pid_ = ::fork();
  if (pid_ < 0) throw std::runtime_error("cannot start " + words[0]);
  if (pid_ == 0) {
    ::dup2(ends[1], STDOUT_FILENO);
    ::dup2(::fileno(errors_), STDERR_FILENO);
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  ::close(ends[1]);
  output_ = ::fdopen(ends[0], "r");
}

RunningProgram::~RunningProgram() {
  if (pid_ > 0) {
    Signal(SIGKILL);
    Wait();
  }
  std::fclose(output_);
  std::fclose(errors_);
}

std::string RunningProgram::ReadLine() {
  std::string line;
  for (int c = std::fgetc(output_); c != EOF && c != '\n'; c = std::fgetc(output_)) {
    line.push_back(static_cast<char>(c));
  }
  return line;
}

std::string RunningProgram::ReadAddress(const std::string& key) {
  listening_ = ReadLine();
  return Address(key);
}

std::string RunningProgram::Address(const std::string& key) const {
  const auto line = nlohmann::json::parse(listening_, nullptr, /*allow_exceptions=*/false);
  if (!line.is_object() || line.value("event", "") != "listening") return "";
  return line.value(key, "");
}

void RunningProgram::Signal(int signal) const { ::kill(pid_, signal); }

int RunningProgram::Wait() {
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

std::string RunningProgram::Errors() const {
  std::string text;
  char buffer[4096];
  ssize_t got = 0;
  // The child writes at the shared offset: reading goes by place.
  while ((got = ::pread(::fileno(errors_), buffer, sizeof(buffer),
                        static_cast<off_t>(text.size()))) > 0) {
    text.append(buffer, static_cast<size_t>(got));
  }
  return text;
}

}  // namespace automot::support
