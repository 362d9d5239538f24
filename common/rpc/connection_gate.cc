#include "common/rpc/connection_gate.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/concurrency/thread_placement.h"
#include "common/rpc/address.h"
#include "common/rpc/client_identity.h"
#include "common/status/status_macros.h"

namespace automot::rpc {
namespace {

constexpr rlim_t kOwnFiles = 128;  // checkpoint, logs, metrics, shared memory, and gRPC's own
constexpr int kPauseMs = 100;      // until a descriptor, or memory, may have become free

ConnectionLimits WithinFiles(ConnectionLimits limits) {
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur == RLIM_INFINITY) return limits;
  const rlim_t own = std::min<rlim_t>(kOwnFiles, files.rlim_cur / 2);
  limits.all = static_cast<uint32_t>(std::min<rlim_t>(limits.all, files.rlim_cur - own));
  limits.host = std::min(limits.host, std::max<uint32_t>(limits.all / 2, 1));
  return limits;
}

// As quotas count clients without a certificate; empty for Unix sockets.
std::string HostOf(const sockaddr_storage& peer) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (peer.ss_family == AF_INET) {
    const auto* ipv4 = reinterpret_cast<const sockaddr_in*>(&peer);
    inet_ntop(AF_INET, &ipv4->sin_addr, text.data(), text.size());
    return ClientIdentityOfPeer(absl::StrCat("ipv4:", text.data(), ":0"));
  }
  if (peer.ss_family != AF_INET6) return "";
  const auto* ipv6 = reinterpret_cast<const sockaddr_in6*>(&peer);
  if (IN6_IS_ADDR_V4MAPPED(&ipv6->sin6_addr)) {
    inet_ntop(AF_INET, &ipv6->sin6_addr.s6_addr[12], text.data(), text.size());
    return ClientIdentityOfPeer(absl::StrCat("ipv4:", text.data(), ":0"));
  }
  inet_ntop(AF_INET6, &ipv6->sin6_addr, text.data(), text.size());
  return ClientIdentityOfPeer(absl::StrCat("ipv6:[", text.data(), "]:0"));
}

// The peer is told at once, and nothing of it stays behind here.
void Reset(int fd) {
  const linger now = {.l_onoff = 1, .l_linger = 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
  close(fd);
}

}  // namespace

ConnectionGate::ConnectionGate(ListeningSockets sockets, const ServerLimits& limits)
    : sockets_(std::make_unique<ListeningSockets>(std::move(sockets))),
      table_(WithinFiles(limits.connections), &clock_),
      unacknowledged_ms_(static_cast<unsigned>(absl::ToInt64Milliseconds(limits.ping_timeout))),
      stop_(eventfd(0, EFD_CLOEXEC)) {}

ConnectionGate::~ConnectionGate() {
  Stop();
  if (stop_ >= 0) close(stop_);
}

absl::StatusOr<std::unique_ptr<ConnectionGate>> ConnectionGate::Open(
    const std::string& address, std::shared_ptr<grpc::ServerCredentials> credentials,
    const ServerLimits& limits, grpc::ServerBuilder* builder, std::function<void()> on_refused) {
  AUTOMOT_ASSIGN_OR_RETURN(ListeningSockets sockets, ListeningSockets::Open(address));
  const int port = sockets.port();
  std::unique_ptr<ConnectionGate> gate(new ConnectionGate(std::move(sockets), limits));
  if (gate->stop_ < 0) return absl::UnavailableError("eventfd failed");
  gate->on_refused_ = std::move(on_refused);
  gate->address_ = WithPort(address, port);
  gate->acceptor_ = builder->experimental().AddExternalConnectionAcceptor(
      grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD,
      std::move(credentials));
  return gate;
}

void ConnectionGate::Start() {
  thread_ = std::thread([this] { AcceptThread(); });
}

void ConnectionGate::Stop() {
  if (thread_.joinable()) {
    eventfd_write(stop_, 1);
    thread_.join();
  }
  sockets_.reset();
}

bool ConnectionGate::AcceptOne(int listener) {
  sockaddr_storage peer{};
  socklen_t size = sizeof(peer);
  const int fd =
      accept4(listener, reinterpret_cast<sockaddr*>(&peer), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) {
    const bool again = errno == EINTR || errno == ECONNABORTED;
    if (!again && errno != EAGAIN && errno != EWOULDBLOCK) Pause();
    return again;
  }
  // gRPC sets it on its own listeners: a peer that takes nothing cannot be asked by a ping, which
  // would wait behind what it does not take.
  setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacknowledged_ms_, sizeof(unacknowledged_ms_));
  if (!table_.Admit(fd, HostOf(peer))) {
    if (on_refused_ != nullptr) on_refused_();
    Reset(fd);
    return true;
  }
  grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters connection;
  connection.listener_fd = listener;
  connection.fd = fd;
  acceptor_->HandleNewConnection(&connection);
  return true;
}

void ConnectionGate::Pause() const {
  pollfd stop = {.fd = stop_, .events = POLLIN, .revents = 0};
  poll(&stop, 1, kPauseMs);
}

void ConnectionGate::AcceptThread() {
  NameThread("accept");
  std::vector<pollfd> waiting = {{.fd = stop_, .events = POLLIN, .revents = 0}};
  for (const int fd : sockets_->descriptors()) {
    waiting.push_back({.fd = fd, .events = POLLIN, .revents = 0});
  }
  for (;;) {
    if (poll(waiting.data(), waiting.size(), -1) < 0) {
      if (errno != EINTR) Pause();
      continue;
    }
    if (waiting[0].revents != 0) return;
    for (std::size_t i = 1; i < waiting.size(); ++i) {
      // A few at a time: the end is looked for in between.
      for (int count = 0; waiting[i].revents != 0 && count < 64; ++count) {
        if (!AcceptOne(waiting[i].fd)) break;
      }
    }
  }
}

}  // namespace automot::rpc
