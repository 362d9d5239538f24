#include "tests/support/cutting_proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <utility>

namespace automot::support {
namespace {

using Buffer = std::array<char, 64 << 10>;

sockaddr_in Loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

int ConnectTo(uint16_t port) {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = Loopback(port);
  if (::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
    return socket;
  }
  ::close(socket);
  return -1;
}

void NoDelay(int socket) {
  const int on = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

// The peer sees a reset, as from the kernel of a killed process with unread data.
void CloseWithReset(int socket) {
  const linger now{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(socket, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
  ::close(socket);
}

bool SendAll(int socket, const char* data, std::size_t bytes) {
  while (bytes > 0) {
    const ssize_t sent = ::send(socket, data, bytes, MSG_NOSIGNAL);
    if (sent <= 0) return false;
    data += sent;
    bytes -= static_cast<std::size_t>(sent);
  }
  return true;
}

}  // namespace

CuttingProxy::CuttingProxy() {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = Loopback(0);
  socklen_t size = sizeof(address);
  if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::listen(listener_, 16) != 0 ||
      ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    throw std::runtime_error("the proxy has no port");
  }
  address_ = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  acceptor_ = std::thread([this] { Accept(); });
}

CuttingProxy::~CuttingProxy() {
  stopping_ = true;
  acceptor_.join();
  for (Connection& connection : connections_) connection.thread.join();
  ::close(listener_);
}

void CuttingProxy::Serve(const std::string& server_address) {
  const std::lock_guard lock(mutex_);
  server_port_ =
      static_cast<uint16_t>(std::stoi(server_address.substr(server_address.rfind(':') + 1)));
}

void CuttingProxy::CutAfter(uint64_t bytes, std::function<void()> then) {
  const std::lock_guard lock(mutex_);
  left_ = bytes;
  then_ = std::move(then);
}

void CuttingProxy::WaitUntilCut() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return cut_; });
}

void CuttingProxy::Restore() {
  const std::lock_guard lock(mutex_);
  cut_ = false;
}

void CuttingProxy::Accept() {
  while (!stopping_) {
    pollfd ready{.fd = listener_, .events = POLLIN, .revents = 0};
    if (::poll(&ready, 1, 20) <= 0) continue;
    const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0) continue;
    const std::lock_guard lock(mutex_);
    const int server = cut_ ? -1 : ConnectTo(server_port_);
    if (server < 0) {
      CloseWithReset(client);
      continue;
    }
    NoDelay(client);
    NoDelay(server);
    connections_.push_back({.client = client, .server = server});
    Connection& connection = connections_.back();
    connection.thread = std::thread([this, &connection] { Forward(connection); });
  }
}

void CuttingProxy::Forward(Connection& connection) {
  Buffer buffer;
  for (bool open = true; open && !stopping_;) {
    {
      const std::lock_guard lock(mutex_);
      if (cut_) break;
    }
    if (frozen_) {
      ::poll(nullptr, 0, 5);
      continue;
    }
    std::array<pollfd, 2> ready = {{{.fd = connection.client, .events = POLLIN, .revents = 0},
                                    {.fd = connection.server, .events = POLLIN, .revents = 0}}};
    if (::poll(ready.data(), ready.size(), 5) <= 0) continue;
    if (ready[1].revents != 0) open = FromServer(connection);
    if (open && ready[0].revents != 0) {
      const ssize_t got = ::recv(connection.client, buffer.data(), buffer.size(), 0);
      open = got > 0 && SendAll(connection.server, buffer.data(), static_cast<std::size_t>(got));
    }
  }
  CloseWithReset(connection.client);
  CloseWithReset(connection.server);
}

// How many of `bytes` may still pass.
uint64_t CuttingProxy::Allowance(uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  if (cut_) return 0;
  if (left_ == kNever) return bytes;
  const uint64_t pass = std::min(bytes, left_);
  left_ -= pass;
  return pass;
}

bool CuttingProxy::FromServer(const Connection& connection) {
  Buffer buffer;
  const ssize_t got = ::recv(connection.server, buffer.data(), buffer.size(), 0);
  if (got <= 0) return false;
  const auto bytes = static_cast<uint64_t>(got);
  const uint64_t pass = Allowance(bytes);
  forwarded_ += pass;
  const bool sent = SendAll(connection.client, buffer.data(), pass);
  if (pass == bytes) return sent;
  Cut();
  return false;
}

void CuttingProxy::Cut() {
  const std::lock_guard lock(mutex_);
  if (cut_) return;
  cut_ = true;
  left_ = kNever;
  if (then_) std::exchange(then_, nullptr)();
  changed_.notify_all();
}

}  // namespace automot::support
