#include "tests/benchmark/context/bare_socket_roles.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>
#include <thread>
#include <utility>

#include "common/context/kv_buffer_pool.h"
#include "nlohmann/json.hpp"
#include "tests/benchmark/comparison/child_process.h"
#include "tests/benchmark/context/bench_snapshot.h"

namespace automot::benchmarks {
namespace {

using nlohmann::json;

constexpr std::size_t kPieceBytes = std::size_t{1} << 20;
constexpr std::size_t kReadBytes = std::size_t{4} << 20;

void Require(bool done, const char* what) {
  if (!done) throw std::runtime_error(std::string(what) + " failed");
}

sockaddr_in Loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

std::span<std::byte> Whole(const context::KvBuffer& buffer) {
  const auto bytes = buffer.bytes();
  return {const_cast<std::byte*>(bytes.data()), bytes.size()};
}

// Sends one snapshot per byte that it receives.
void Serve(int connection) {
  context::KvBufferPool pool({});
  const context::KvBuffer snapshot = pool.Acquire(kFullPublished).value();
  const std::span<std::byte> bytes = Whole(snapshot);
  FillWithNoise(bytes, 1);
  for (char wanted = 0; ::recv(connection, &wanted, 1, 0) == 1;) {
    StampTime(bytes, NowNs());
    for (std::size_t at = 0; at < bytes.size();) {
      const ssize_t sent = ::send(connection, bytes.data() + at,
                                  std::min(kPieceBytes, bytes.size() - at), MSG_NOSIGNAL);
      if (sent <= 0) return;
      at += static_cast<std::size_t>(sent);
    }
  }
}

class Client {
 public:
  explicit Client(uint16_t port) : connection_(::socket(AF_INET, SOCK_STREAM, 0)) {
    const sockaddr_in address = Loopback(port);
    Require(
        ::connect(connection_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0,
        "connect");
  }
  ~Client() { ::close(connection_); }

  json Answer(const json& request) {
    if (!request.contains("snapshots")) return json::object();
    const int snapshots = request.at("snapshots"), ahead = request.at("ahead");
    const std::span<std::byte> bytes = Whole(snapshot_);
    std::vector<double> visible_ms;
    const int64_t begin_ns = NowNs();
    for (int asked = 0, got = 0; got < snapshots; ++got) {
      for (; asked < std::min(snapshots, got + ahead); ++asked) Ask();
      Receive(bytes);
      visible_ms.push_back(1e-6 * static_cast<double>(NowNs() - TimeOf(bytes)));
    }
    return {{"wall_s", 1e-9 * static_cast<double>(NowNs() - begin_ns)},
            {"bytes", static_cast<double>(bytes.size()) * snapshots},
            {"visible_ms", visible_ms}};
  }

 private:
  void Ask() { Require(::send(connection_, "1", 1, MSG_NOSIGNAL) == 1, "send"); }
  // The cheapest way that was found: woken for a piece at a time, and then all that is there.
  void Receive(std::span<std::byte> bytes) {
    for (std::size_t at = 0; at < bytes.size();) {
      WakeFor(std::min(kPieceBytes, bytes.size() - at));
      const ssize_t got = ::recv(connection_, bytes.data() + at,
                                 std::min(kReadBytes, bytes.size() - at), MSG_DONTWAIT);
      Require(got > 0, "recv");
      at += static_cast<std::size_t>(got);
    }
  }

  // Not in recv itself, which waits for as much again once it has taken a part.
  void WakeFor(std::size_t bytes) {
    const int wanted = static_cast<int>(bytes);
    if (std::exchange(wakes_for_, wanted) != wanted) {
      Require(::setsockopt(connection_, SOL_SOCKET, SO_RCVLOWAT, &wanted, sizeof wanted) == 0,
              "SO_RCVLOWAT");
    }
    pollfd readable{.fd = connection_, .events = POLLIN};
    Require(::poll(&readable, 1, -1) == 1, "poll");
  }

  const int connection_;
  int wakes_for_ = 0;
  context::KvBufferPool pool_{{}};
  context::KvBuffer snapshot_ = pool_.Acquire(kFullPublished).value();
};

}  // namespace

int RunSocketServer() {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = Loopback(0);
  socklen_t size = sizeof address;
  Require(::bind(listener, reinterpret_cast<sockaddr*>(&address), size) == 0, "bind");
  Require(::listen(listener, 1) == 0, "listen");
  Require(::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) == 0,
          "getsockname");
  std::thread serving([listener] {
    const int connection = ::accept(listener, nullptr, nullptr);
    if (connection >= 0) Serve(connection);
    ::close(connection);
  });
  AnswerParent({{"address", std::to_string(ntohs(address.sin_port))}},
               [](const json&) { return json::object(); });
  ::shutdown(listener, SHUT_RDWR);
  serving.join();
  ::close(listener);
  return 0;
}

int RunSocketClient(const std::string& port) {
  Client client(static_cast<uint16_t>(std::stoi(port)));
  AnswerParent(json::object(), [&](const json& request) { return client.Answer(request); });
  return 0;
}

}  // namespace automot::benchmarks
