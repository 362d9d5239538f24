#include "common/rpc/address.h"

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace automot::rpc {
namespace {

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

std::string_view Host(std::string_view address) {
  const size_t colon = address.rfind(':');
  return colon == std::string_view::npos ? address : address.substr(0, colon);
}

}  // namespace

bool IsLoopback(std::string_view address) {
  if (absl::StartsWith(View(address), "unix:")) return true;
  const std::string_view host = Host(address);
  return host == "localhost" || host == "[::1]" || absl::StartsWith(View(host), "127.");
}

absl::Status ValidateAddress(std::string_view flag, std::string_view address) {
  if (absl::StartsWith(View(address), "unix:") && address.size() > 5) return absl::OkStatus();
  if (absl::StartsWith(View(address), "dns:///")) address.remove_prefix(7);
  const size_t colon = address.rfind(':');
  int port = -1;
  if (colon == std::string_view::npos || colon == 0 ||
      !absl::SimpleAtoi(View(address.substr(colon + 1)), &port) || port < 0 || port > 65535) {
    return absl::InvalidArgumentError(absl::StrCat(
        View(flag), " is '", View(address),
        "'; expected host:port, unix:PATH or dns:///name:port with a port of 0 to 65535"));
  }
  return absl::OkStatus();
}

std::string WithPort(std::string_view address, int port) {
  if (absl::StartsWith(View(address), "unix:") || absl::StartsWith(View(address), "dns:")) {
    return std::string(address);
  }
  return absl::StrCat(View(Host(address)), ":", port);
}

}  // namespace automot::rpc
