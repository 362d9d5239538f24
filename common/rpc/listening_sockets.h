// Sockets that listen on host:port or dns:///name:port.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace automot::rpc {

// Owns them.
class ListeningSockets {
 public:
  // Every address that the host's name has, on one port; 0 picks one. 0.0.0.0 and [::] mean both
  // families where the machine has both. UNAVAILABLE naming `address`: it is taken, or not ours;
  // INVALID_ARGUMENT: without a port.
  static absl::StatusOr<ListeningSockets> Open(const std::string& address);

  ListeningSockets(ListeningSockets&& other) noexcept;
  ListeningSockets& operator=(ListeningSockets&&) = delete;
  ~ListeningSockets();

  const std::vector<int>& descriptors() const { return descriptors_; }
  int port() const { return port_; }

 private:
  ListeningSockets() = default;
  absl::Status OpenPort(const std::string& host, int port);
  absl::Status OpenHost(const std::string& host, int port);
  absl::Status OpenAny(int port);  // one socket for both families, where there are both
  void Close();

  std::vector<int> descriptors_;
  int port_ = 0;
};

}  // namespace automot::rpc
