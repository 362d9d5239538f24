#include "common/rpc/listening_sockets.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

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

absl::Status Failed(const char* what) {
  return absl::UnavailableError(absl::StrCat(what, ": ", std::strerror(errno)));
}

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
    const absl::Status status = Failed("bind");
    close(fd);
    return status;
  }
  return fd;
}

absl::StatusOr<int> PortOf(int fd) {
  sockaddr_storage bound{};
  socklen_t size = sizeof(bound);
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &size) != 0)
    return Failed("getsockname");
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

}  // namespace

ListeningSockets::ListeningSockets(ListeningSockets&& other) noexcept
    : descriptors_(std::exchange(other.descriptors_, {})), port_(other.port_) {}

ListeningSockets::~ListeningSockets() {
  for (const int fd : descriptors_) close(fd);
}

absl::Status ListeningSockets::OpenHost(const std::string& host, int port) {
  const bool any = host == "0.0.0.0" || host == "::";
  if (any) {  // one socket for both families, where there are both
    sockaddr_in6 both{};
    both.sin6_family = AF_INET6;
    both.sin6_port = htons(static_cast<uint16_t>(port));
    const auto fd = Listen(reinterpret_cast<const sockaddr*>(&both), sizeof(both));
    if (fd.ok()) {
      descriptors_.push_back(*fd);
      AUTOMOT_ASSIGN_OR_RETURN(port_, PortOf(*fd));
      return absl::OkStatus();
    }
  }
  addrinfo hints{}, *raw = nullptr;
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  if (const int error = getaddrinfo(host.c_str(), nullptr, &hints, &raw); error != 0) {
    return absl::UnavailableError(gai_strerror(error));
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> found(raw, freeaddrinfo);
  absl::Status first;
  port_ = port;
  for (addrinfo* each = found.get(); each != nullptr; each = each->ai_next) {
    SetPort(each->ai_addr, port_);
    const auto fd = Listen(each->ai_addr, each->ai_addrlen);
    if (!fd.ok()) {
      first.Update(fd.status());
      continue;
    }
    descriptors_.push_back(*fd);
    AUTOMOT_ASSIGN_OR_RETURN(port_, PortOf(*fd));
  }
  // A family that the machine does not have is no failure where the other listens.
  return descriptors_.empty() ? first : absl::OkStatus();
}

absl::StatusOr<ListeningSockets> ListeningSockets::Open(const std::string& address) {
  ListeningSockets sockets;
  absl::string_view rest = address;
  absl::ConsumePrefix(&rest, "dns:///");
  const std::size_t colon = rest.rfind(':');
  int port = 0;
  if (colon == absl::string_view::npos || !absl::SimpleAtoi(rest.substr(colon + 1), &port)) {
    return absl::InvalidArgumentError(absl::StrCat("address '", address, "' has no port"));
  }
  absl::string_view host = rest.substr(0, colon);
  if (absl::ConsumePrefix(&host, "[")) absl::ConsumeSuffix(&host, "]");
  const absl::Status status = sockets.OpenHost(std::string(host), port);
  if (!status.ok()) {
    return absl::UnavailableError(
        absl::StrCat("cannot listen on ", address, ": ", status.message()));
  }
  return sockets;
}

}  // namespace automot::rpc
