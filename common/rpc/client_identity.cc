#include "common/rpc/client_identity.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace automot::rpc {
namespace {

constexpr std::size_t kPrefixBytes = 8;  // of an IPv6 address

// The first 64 bits of an IPv6 address; empty where it is none.
std::string Ipv6Prefix(const std::string& address) {
  in6_addr parsed{};
  if (inet_pton(AF_INET6, address.c_str(), &parsed) != 1) return "";
  std::fill(std::begin(parsed.s6_addr) + kPrefixBytes, std::end(parsed.s6_addr), 0);
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (inet_ntop(AF_INET6, &parsed, text.data(), text.size()) == nullptr) return "";
  return absl::StrCat("host:", text.data(), "/64");
}

// Of "[2001:db8::1%25eth0]:443" the address alone; gRPC escapes brackets as in a URI.
std::string Ipv6AddressOf(absl::string_view rest) {
  std::string text = absl::StrReplaceAll(rest, {{"%5B", "["}, {"%5D", "]"}, {"%25", "%"}});
  const std::size_t end = text.rfind(']');
  if (text.empty() || text.front() != '[' || end == std::string::npos) return "";
  text = text.substr(1, end - 1);
  return text.substr(0, text.find('%'));
}

}  // namespace

std::string ClientIdentityOfPeer(std::string_view peer) {
  const absl::string_view text(peer.data(), peer.size());
  if (absl::StartsWith(text, "unix")) return "unix";
  if (absl::StartsWith(text, "ipv4:")) {
    const absl::string_view rest = text.substr(5);
    return absl::StrCat("host:", rest.substr(0, rest.rfind(':')));
  }
  if (absl::StartsWith(text, "ipv6:")) {
    std::string prefix = Ipv6Prefix(Ipv6AddressOf(text.substr(5)));
    if (!prefix.empty()) return prefix;
  }
  return "unknown";
}

std::string ClientIdentityOf(const grpc::ServerContextBase& call) {
  const auto auth = call.auth_context();
  if (auth != nullptr && auth->IsPeerAuthenticated()) {
    const std::vector<grpc::string_ref> names = auth->GetPeerIdentity();
    if (!names.empty()) {
      return absl::StrCat("name:", absl::string_view(names[0].data(), names[0].size()));
    }
  }
  return ClientIdentityOfPeer(call.peer());
}

}  // namespace automot::rpc
