#include "common/rpc/listening_sockets.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/status/status_macros.h"

namespace automot::rpc {
namespace {

constexpr int kAttempts = 16;  // at a port that all families of a name have free

// NOT_FOUND: the machine has no such family or address.
absl::Status Failed(const char* what) {
  const std::string message = absl::StrCat(what, ": ", std::strerror(errno));
  const bool has_none = errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL;
  return has_none ? absl::NotFoundError(message) : absl::UnavailableError(message);
}

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;

  bool operator==(const Address& other) const {
    return size == other.size && std::memcmp(&storage, &other.storage, size) == 0;
  }
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

// Bound and listening, without blocking; closed where that fails.
absl::StatusOr<int> Listen(const sockaddr* address, socklen_t size) {
  const int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return Failed("socket");
  const int on = 1, off = 0;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));  // connections inherit it
  if (address->sa_family == AF_INET6) {
    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
  }
  if (bind(fd, address, size) != 0 || listen(fd, SOMAXCONN) != 0) {
    absl::Status status = Failed("bind");
    close(fd);
    return status;
  }
  return fd;
}

absl::StatusOr<int> PortOf(int fd) {
  sockaddr_storage bound{};
  socklen_t size = sizeof(bound);
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &size) != 0) {
    return Failed("getsockname");
  }
  const auto* ipv6 = reinterpret_cast<const sockaddr_in6*>(&bound);
  const auto* ipv4 = reinterpret_cast<const sockaddr_in*>(&bound);
  return ntohs(bound.ss_family == AF_INET6 ? ipv6->sin6_port : ipv4->sin_port);
}

void SetPort(sockaddr* address, int port) {
  if (address->sa_family == AF_INET6) {
    reinterpret_cast<sockaddr_in6*>(address)->sin6_port = htons(static_cast<uint16_t>(port));
  } else {
    reinterpret_cast<sockaddr_in*>(address)->sin_port = htons(static_cast<uint16_t>(port));
  }
}

// Of `host`, each once: a hosts file may say one twice.
absl::StatusOr<std::vector<Address>> Resolve(const std::string& host) {
  addrinfo hints{}, *raw = nullptr;
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  if (const int error = getaddrinfo(host.c_str(), nullptr, &hints, &raw); error != 0) {
    return absl::UnavailableError(gai_strerror(error));
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> found(raw, freeaddrinfo);
  std::vector<Address> addresses;
  for (const addrinfo* each = found.get(); each != nullptr; each = each->ai_next) {
    Address address;
    std::memcpy(&address.storage, each->ai_addr, each->ai_addrlen);
    address.size = each->ai_addrlen;
    if (std::find(addresses.begin(), addresses.end(), address) == addresses.end()) {
      addresses.push_back(address);
    }
  }
  return addresses;
}

}  // namespace

ListeningSockets::ListeningSockets(ListeningSockets&& other) noexcept
    : descriptors_(std::exchange(other.descriptors_, {})), port_(other.port_) {}

ListeningSockets::~ListeningSockets() { Close(); }

void ListeningSockets::Close() {
  for (const int fd : descriptors_) close(fd);
  descriptors_.clear();
}

absl::Status ListeningSockets::OpenAny(int port) {
  sockaddr_in6 both{};
  both.sin6_family = AF_INET6;
  both.sin6_port = htons(static_cast<uint16_t>(port));
  AUTOMOT_ASSIGN_OR_RETURN(const int fd,
                           Listen(reinterpret_cast<const sockaddr*>(&both), sizeof(both)));
  descriptors_.push_back(fd);
  AUTOMOT_ASSIGN_OR_RETURN(port_, PortOf(fd));
  return absl::OkStatus();
}

absl::Status ListeningSockets::OpenHost(const std::string& host, int port) {
  AUTOMOT_ASSIGN_OR_RETURN(std::vector<Address> addresses, Resolve(host));
  absl::Status missing;
  port_ = port;
  for (Address& address : addresses) {
    SetPort(address.get(), port_);
    const absl::StatusOr<int> fd = Listen(address.get(), address.size);
    // A family that the machine does not have is no failure where the other listens. A port that
    // another process has in one is: clients of that family would reach it.
    if (absl::IsNotFound(fd.status())) {
      missing.Update(fd.status());
      continue;
    }
    AUTOMOT_RETURN_IF_ERROR(fd.status());
    descriptors_.push_back(*fd);
    AUTOMOT_ASSIGN_OR_RETURN(port_, PortOf(*fd));
  }
  return descriptors_.empty() ? missing : absl::OkStatus();
}

absl::Status ListeningSockets::OpenPort(const std::string& host, int port) {
  const bool any = host == "0.0.0.0" || host == "::";
  if (any && OpenAny(port).ok()) return absl::OkStatus();
  absl::Status status;
  for (int attempt = 0; attempt < (port == 0 ? kAttempts : 1); ++attempt) {
    Close();
    status = OpenHost(host, port);
    if (status.ok()) break;
  }
  return status;
}

absl::StatusOr<ListeningSockets> ListeningSockets::Open(const std::string& address) {
  ListeningSockets sockets;
  absl::string_view rest = address;
  absl::ConsumePrefix(&rest, "dns:///");
  const std::size_t colon = rest.rfind(':');
  int port = 0;
  if (colon == absl::string_view::npos || !absl::SimpleAtoi(rest.substr(colon + 1), &port) ||
      port < 0 || port > 65535) {
    return absl::InvalidArgumentError(
        absl::StrCat("address '", address, "' has no port of 0 to 65535"));
  }
  absl::string_view host = rest.substr(0, colon);
  if (absl::ConsumePrefix(&host, "[")) absl::ConsumeSuffix(&host, "]");
  const absl::Status status = sockets.OpenPort(std::string(host), port);
  if (!status.ok()) {
    return absl::UnavailableError(
        absl::StrCat("cannot listen on ", address, ": ", status.message()));
  }
  return sockets;
}

}  // namespace automot::rpc
