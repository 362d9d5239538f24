#include "common/shared_memory/local_socket.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"

namespace automot::shared_memory {
namespace {

constexpr int kSocketType = SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK;
constexpr int kBacklog = 16;
constexpr std::size_t kMaxDescriptors = 4;  // room to see, and close, more than the one allowed

absl::Status Failed(absl::string_view what) {
  return absl::UnavailableError(absl::StrCat(what, ": ", std::strerror(errno)));
}

absl::StatusOr<sockaddr_un> AddressOf(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path)) {
    return absl::InvalidArgumentError(absl::StrCat("socket path '", path, "' has ", path.size(),
                                                   " bytes; it must have 1 to ",
                                                   sizeof(address.sun_path) - 1));
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

absl::StatusOr<UniqueDescriptor> NewSocket() {
  UniqueDescriptor socket(::socket(AF_UNIX, kSocketType, 0));
  if (!socket.valid()) return Failed("no socket");
  return socket;
}

// Removes a socket file whose listener is gone.
absl::Status RemoveStale(const std::string& path) {
  struct stat file = {};
  if (lstat(path.c_str(), &file) != 0) return absl::OkStatus();
  if (!S_ISSOCK(file.st_mode)) {
    return absl::AlreadyExistsError(absl::StrCat(path, " exists and is no socket"));
  }
  if (ConnectLocal(path).ok()) {
    return absl::AlreadyExistsError(absl::StrCat("somebody listens at ", path));
  }
  unlink(path.c_str());
  return absl::OkStatus();
}

// The descriptors that came with a message; every one has an owner before anything is judged.
std::vector<UniqueDescriptor> DescriptorsOf(msghdr& header) {
  std::vector<UniqueDescriptor> descriptors;
  for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr; part = CMSG_NXTHDR(&header, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int descriptor = -1;
      std::memcpy(&descriptor, CMSG_DATA(part) + i * sizeof(int), sizeof(int));
      descriptors.emplace_back(descriptor);
    }
  }
  return descriptors;
}

}  // namespace

absl::StatusOr<UniqueDescriptor> ListenLocal(const std::string& path, mode_t mode) {
  AUTOMOT_ASSIGN_OR_RETURN(const sockaddr_un address, AddressOf(path));
  AUTOMOT_RETURN_IF_ERROR(RemoveStale(path));
  AUTOMOT_ASSIGN_OR_RETURN(UniqueDescriptor socket, NewSocket());
  // The file has its mode before anybody can connect: it listens only after.
  if (bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return Failed(absl::StrCat("cannot bind to ", path));
  }
  if (chmod(path.c_str(), mode) != 0 || listen(socket.get(), kBacklog) != 0) {
    return Failed(absl::StrCat("cannot listen at ", path));
  }
  return socket;
}

absl::StatusOr<std::optional<UniqueDescriptor>> AcceptLocal(int listener) {
  UniqueDescriptor caller(accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (caller.valid()) return std::optional<UniqueDescriptor>(std::move(caller));
  // Out of descriptors is no reason to stop listening.
  const bool later = errno == EAGAIN || errno == EINTR || errno == ECONNABORTED ||
                     errno == EMFILE || errno == ENFILE;
  if (later) return std::optional<UniqueDescriptor>();
  return Failed("cannot accept");
}

absl::StatusOr<UniqueDescriptor> ConnectLocal(const std::string& path) {
  AUTOMOT_ASSIGN_OR_RETURN(const sockaddr_un address, AddressOf(path));
  AUTOMOT_ASSIGN_OR_RETURN(UniqueDescriptor socket, NewSocket());
  if (connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return Failed(absl::StrCat("cannot connect to ", path));
  }
  return socket;
}

absl::StatusOr<std::pair<UniqueDescriptor, UniqueDescriptor>> LocalPair() {
  int ends[2];
  if (socketpair(AF_UNIX, kSocketType, 0, ends) != 0) return Failed("no socket pair");
  return std::pair(UniqueDescriptor(ends[0]), UniqueDescriptor(ends[1]));
}

absl::StatusOr<PeerCredentials> CredentialsOf(int socket) {
  ucred credentials = {};
  socklen_t size = sizeof(credentials);
  if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) {
    return Failed("the peer has no credentials");
  }
  return PeerCredentials{.user = credentials.uid, .process = credentials.pid};
}

absl::Status SendMessage(int socket, std::span<const std::byte> message, int descriptor) {
  iovec piece = {const_cast<std::byte*>(message.data()), message.size()};
  msghdr header = {};
  header.msg_iov = &piece;
  header.msg_iovlen = 1;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control = {};
  if (descriptor >= 0) {
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    cmsghdr* const part = CMSG_FIRSTHDR(&header);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(part), &descriptor, sizeof(int));
  }
  if (sendmsg(socket, &header, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) return absl::OkStatus();
  if (errno == EAGAIN || errno == EINTR || errno == ENOBUFS || errno == ETOOMANYREFS) {
    return absl::ResourceExhaustedError("the peer of the local socket does not read");
  }
  return Failed("the local socket has ended");
}

absl::StatusOr<std::optional<ReceivedMessage>> ReceiveMessage(int socket,
                                                              std::span<std::byte> buffer) {
  iovec piece = {buffer.data(), buffer.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kMaxDescriptors)> control = {};
  msghdr header = {};
  header.msg_iov = &piece;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  const ssize_t bytes = recvmsg(socket, &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  if (bytes < 0 && (errno == EAGAIN || errno == EINTR)) return std::optional<ReceivedMessage>();
  if (bytes < 0) return Failed("the local socket has ended");
  std::vector<UniqueDescriptor> descriptors = DescriptorsOf(header);
  if (bytes == 0) return absl::UnavailableError("the peer closed the local socket");
  if ((header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 || descriptors.size() > 1) {
    return absl::DataLossError("a message of the local socket is too long or brings too much");
  }
  ReceivedMessage message{.bytes = static_cast<std::size_t>(bytes)};
  if (!descriptors.empty()) message.descriptor = std::move(descriptors[0]);
  return std::optional<ReceivedMessage>(std::move(message));
}

}  // namespace automot::shared_memory
