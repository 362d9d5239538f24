// A TCP proxy on the loopback in front of a server, which can cut every connection after an exact
// number of the server's bytes: what its client sees of a server that is killed at that byte.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <thread>

namespace automot::support {

// Thread-safe.
class CuttingProxy {
 public:
  CuttingProxy();  // throws std::runtime_error where no port is to be had
  CuttingProxy(const CuttingProxy&) = delete;
  CuttingProxy& operator=(const CuttingProxy&) = delete;
  ~CuttingProxy();

  // 127.0.0.1:port, where clients connect.
  const std::string& address() const { return address_; }
  // Where new connections go. Loopback addresses only.
  void Serve(const std::string& server_address);

  // After `bytes` more of the server's: resets every connection and refuses new ones. `then` runs
  // on the proxy's thread at that moment, before the reset; it may kill the server.
  void CutAfter(uint64_t bytes, std::function<void()> then = {});
  void WaitUntilCut();
  // Takes connections again.
  void Restore();
  // From now on connections stay open and are taken, and nothing passes: what a client sees of a
  // host that lost its power or its network. For good.
  void Freeze() { frozen_ = true; }
  uint64_t forwarded_bytes() const { return forwarded_.load(); }  // of the server, in all

 private:
  struct Connection {
    int client = -1, server = -1;
    std::thread thread;
  };
  static constexpr uint64_t kNever = UINT64_MAX;

  void Accept();
  void Forward(Connection& connection);
  bool FromServer(const Connection& connection);
  uint64_t Allowance(uint64_t bytes);
  void Cut();

  int listener_ = -1;
  std::string address_;
  std::atomic<bool> stopping_{false}, frozen_{false};
  std::atomic<uint64_t> forwarded_{0};
  std::mutex mutex_;
  std::condition_variable changed_;
  uint16_t server_port_ = 0;
  uint64_t left_ = kNever;  // until the cut
  bool cut_ = false;        // no connections until Restore
  std::function<void()> then_;
  std::list<Connection> connections_;
  std::thread acceptor_;
};

}  // namespace automot::support
