#include "common/shared_memory/private_folder.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "absl/strings/str_cat.h"

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
  return absl::StrCat(folder, "/", name, "-", getpid(), ".socket");
}

}  // namespace automot::shared_memory
