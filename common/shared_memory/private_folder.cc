#include "common/shared_memory/private_folder.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/shared_memory/local_socket.h"

namespace automot::shared_memory {
namespace {

constexpr mode_t kPrivate = 0700;

std::string FolderPath() {
  const char* const runtime = std::getenv("XDG_RUNTIME_DIR");
  if (runtime != nullptr && runtime[0] == '/') return absl::StrCat(runtime, "/automot-serve");
  const char* const temporary = std::getenv("TMPDIR");
  const bool set = temporary != nullptr && temporary[0] == '/';
  return absl::StrCat(set ? temporary : "/tmp", "/automot-serve-", geteuid());
}

// The process in "<name>-<process>.socket", or 0.
pid_t ProcessOf(const std::string& file) {
  const std::size_t dash = file.rfind('-'), dot = file.rfind(".socket");
  int process = 0;
  if (dash == std::string::npos || dot == std::string::npos || dash > dot) return 0;
  return absl::SimpleAtoi(file.substr(dash + 1, dot - dash - 1), &process) ? process : 0;
}

// A killed process leaves its socket behind. Both must agree that it is gone: the process may be
// one of another container that shares the folder.
void RemoveDeadSockets(const std::string& folder) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const pid_t process = ProcessOf(entry.path().filename().string());
    if (process <= 0 || kill(process, 0) == 0 || errno != ESRCH) continue;
    if (!ConnectLocal(entry.path().string()).ok()) unlink(entry.path().c_str());
  }
}

}  // namespace

absl::StatusOr<std::string> PrivateSocketPath(const std::string& name) {
  const std::string folder = FolderPath();
  if (mkdir(folder.c_str(), kPrivate) != 0 && errno != EEXIST) {
    return absl::UnavailableError(
        absl::StrCat("cannot make the folder ", folder, ": ", std::strerror(errno)));
  }
  struct stat found = {};
  const bool ours = lstat(folder.c_str(), &found) == 0 && S_ISDIR(found.st_mode) &&
                    found.st_uid == geteuid() && (found.st_mode & 0777U) == kPrivate;
  if (!ours) {
    return absl::FailedPreconditionError(
        absl::StrCat(folder, " must be a folder of user ", geteuid(), " with mode 700"));
  }
  RemoveDeadSockets(folder);
  return absl::StrCat(folder, "/", name, "-", getpid(), ".socket");
}

}  // namespace automot::shared_memory
