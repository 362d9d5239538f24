// Addresses as the flags take them: host:port, unix:PATH, dns:///name:port.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace automot::rpc {

// True for 127.0.0.0/8, [::1], localhost and Unix sockets: what needs no TLS by default.
bool IsLoopback(std::string_view address);

// INVALID_ARGUMENT naming `flag` unless `address` has one of the three forms with a port of 0 ..
// 65535, or with a socket path that fits sockaddr_un.
absl::Status ValidateAddress(std::string_view flag, std::string_view address);

// Replaces the port by `port`; a Unix socket has none and is returned as it is.
std::string WithPort(std::string_view address, int port);

// File of `unix:PATH` or `unix:///PATH`; empty for the other forms.
std::string SocketPath(std::string_view address);

}  // namespace automot::rpc
