#include "common/rpc/listen.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/rpc/address.h"
#include "common/status/status_macros.h"

namespace automot::rpc {
namespace {

// Files that are made while it lives are their owner's alone. gRPC makes the socket's file itself,
// and a chmod after that would come too late for who connects first.
class OwnerOnly {
 public:
  OwnerOnly() : before_(umask(S_IXUSR | S_IRWXG | S_IRWXO)) {}
  ~OwnerOnly() { umask(before_); }
  OwnerOnly(const OwnerOnly&) = delete;
  OwnerOnly& operator=(const OwnerOnly&) = delete;

 private:
  const mode_t before_;
};

// 0 where somebody listens at `path`, else why not.
int ConnectError(const std::string& path) {
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  std::memcpy(name.sun_path, path.data(), path.size());  // the length was checked with the address
  const int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (probe < 0) return errno;
  const int error =
      connect(probe, reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0 ? 0 : errno;
  close(probe);
  return error;
}

// gRPC would unlink a file of whatever kind, and a socket that another server listens on.
absl::Status ClearSocket(const std::string& path) {
  struct stat found{};
  if (lstat(path.c_str(), &found) != 0) return absl::OkStatus();  // else binding says why
  if (!S_ISSOCK(found.st_mode)) {
    return absl::UnavailableError(absl::StrCat("'", path, "' exists and is not a socket"));
  }
  if (ConnectError(path) != ECONNREFUSED) {
    return absl::UnavailableError(absl::StrCat("'", path, "' is in use by another server"));
  }
  if (unlink(path.c_str()) == 0 || errno == ENOENT) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat("cannot remove the stale socket '", path, "': ", std::strerror(errno)));
}

}  // namespace

absl::StatusOr<Listening> Listen(const std::string& address,
                                 const std::shared_ptr<grpc::ServerCredentials>& credentials,
                                 grpc::ServerBuilder* builder, const ServerLimits& limits,
                                 std::function<void()> on_refused) {
  Listening listening;
  listening.address = address;
  ApplyLimits(limits, builder);
  const std::string path = SocketPath(address);
  if (path.empty()) {
    AUTOMOT_ASSIGN_OR_RETURN(listening.gate, ConnectionGate::Open(address, credentials, limits,
                                                                  builder, std::move(on_refused)));
    listening.address = listening.gate->address();
    listening.server = builder->BuildAndStart();
  } else {
    AUTOMOT_RETURN_IF_ERROR(ClearSocket(path));
    builder->AddListeningPort(address, credentials);
    const OwnerOnly owner_only;
    listening.server = builder->BuildAndStart();
  }
  if (listening.server == nullptr) {
    return absl::UnavailableError(absl::StrCat("cannot listen on ", address));
  }
  if (listening.gate != nullptr) listening.gate->Start();
  return listening;
}

}  // namespace automot::rpc
