#include "common/rpc/address.h"

#include <arpa/inet.h>
#include <sys/un.h>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace automot::rpc {
namespace {

constexpr std::string_view kUnix = "unix:";
constexpr std::string_view kDns = "dns:///";
constexpr std::size_t kSocketPathBytes = sizeof(sockaddr_un::sun_path);  // with the closing zero

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

bool StartsWith(std::string_view text, std::string_view prefix) {
  return absl::StartsWith(View(text), View(prefix));
}

// host:port of `host:port` and `dns:///host:port`.
std::string_view WithoutScheme(std::string_view address) {
  if (StartsWith(address, kDns)) address.remove_prefix(kDns.size());
  return address;
}

std::string_view HostOf(std::string_view address) { return address.substr(0, address.rfind(':')); }

// A name that only begins like 127.0.0.0/8 may lead anywhere.
bool IsLoopbackIpv4(const std::string& host) {
  in_addr parsed{};
  return inet_pton(AF_INET, host.c_str(), &parsed) == 1 && ntohl(parsed.s_addr) >> 24U == 127;
}

}  // namespace

bool IsLoopback(std::string_view address) {
  if (StartsWith(address, kUnix)) return true;
  const std::string host(HostOf(WithoutScheme(address)));
  return host == "localhost" || host == "[::1]" || IsLoopbackIpv4(host);
}

absl::Status ValidateAddress(std::string_view flag, std::string_view address) {
  if (const std::string path = SocketPath(address); !path.empty()) {
    if (path.size() < kSocketPathBytes) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat(View(flag), " is '", View(address),
                                                   "'; the path of a Unix socket has at most ",
                                                   kSocketPathBytes - 1, " bytes"));
  }
  const std::string_view rest = WithoutScheme(address);
  const size_t colon = rest.rfind(':');
  int port = -1;
  const bool has_port = colon != std::string_view::npos && colon > 0 &&
                        absl::SimpleAtoi(View(rest.substr(colon + 1)), &port) && port >= 0 &&
                        port <= 65535;
  // An IPv6 address without brackets would give its last group away as the port.
  const bool bare_ipv6 =
      has_port && rest.front() != '[' && HostOf(rest).find(':') != std::string_view::npos;
  if (has_port && !bare_ipv6) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      View(flag), " is '", View(address),
      "'; expected host:port, unix:PATH or dns:///name:port with a port of 0 to 65535"));
}

std::string WithPort(std::string_view address, int port) {
  if (StartsWith(address, kUnix)) return std::string(address);
  return absl::StrCat(View(HostOf(address)), ":", port);
}

std::string SocketPath(std::string_view address) {
  if (!StartsWith(address, kUnix)) return {};
  address.remove_prefix(kUnix.size());
  if (StartsWith(address, "///")) address.remove_prefix(2);
  return std::string(address);
}

}  // namespace automot::rpc
