// Sockets that listen at an address in the form that the flags take (common/rpc/address.h).
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace automot::rpc {

// Owns them. A Unix socket's file is removed with it, and one that is left from before makes way.
class ListeningSockets {
 public:
  // Every address that the host's name has, on one port; 0 picks one. 0.0.0.0 and [::] mean both
  // families where the machine has both. UNAVAILABLE naming `address`: it is taken, or not ours.
  static absl::StatusOr<ListeningSockets> Open(const std::string& address);

  ListeningSockets(ListeningSockets&& other) noexcept;
  ListeningSockets& operator=(ListeningSockets&&) = delete;
  ~ListeningSockets();

  const std::vector<int>& descriptors() const { return descriptors_; }
  int port() const { return port_; }  // 0 for a Unix socket

 private:
  ListeningSockets() = default;
  absl::Status OpenUnix(const std::string& path);
  absl::Status OpenHost(const std::string& host, int port);

  std::vector<int> descriptors_;
  int port_ = 0;
  std::string path_;
};

}  // namespace automot::rpc
