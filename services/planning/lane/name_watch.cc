#include "services/planning/lane/name_watch.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/concurrency/thread_placement.h"
#include "common/logging/log.h"
#include "common/rpc/address.h"
#include "common/status/status_macros.h"

namespace automot::planning {
namespace {

constexpr std::string_view kPrefix = "dns:";
constexpr std::string_view kGrpcPrefix = "dns:///";

std::string Printed(const addrinfo& found, const std::string& port) {
  char text[INET6_ADDRSTRLEN] = {};
  if (found.ai_family == AF_INET6) {
    const auto* address = reinterpret_cast<const sockaddr_in6*>(found.ai_addr);
    inet_ntop(AF_INET6, &address->sin6_addr, text, sizeof(text));
    return absl::StrCat("[", text, "]:", port);
  }
  const auto* address = reinterpret_cast<const sockaddr_in*>(found.ai_addr);
  inet_ntop(AF_INET, &address->sin_addr, text, sizeof(text));
  return absl::StrCat(text, ":", port);
}

}  // namespace

absl::StatusOr<std::optional<ReplicaName>> ParseReplicaName(std::string_view flag,
                                                            std::string_view address) {
  if (!address.starts_with(kPrefix) || address.starts_with(kGrpcPrefix)) return std::nullopt;
  const std::string_view rest = address.substr(kPrefix.size());
  AUTOMOT_RETURN_IF_ERROR(rpc::ValidateAddress(flag, rest));
  const std::size_t colon = rest.rfind(':');
  if (rest.starts_with("unix:") || colon == std::string_view::npos) {
    return absl::InvalidArgumentError(absl::StrCat(std::string(flag), " is '", std::string(address),
                                                   "'; expected dns:HOST:PORT"));
  }
  return ReplicaName{std::string(rest.substr(0, colon)), std::string(rest.substr(colon + 1))};
}

absl::StatusOr<std::vector<std::string>> ResolveBySystem(const ReplicaName& name) {
  addrinfo hints = {};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(name.host.c_str(), nullptr, &hints, &found);
  if (error != 0) {
    return absl::UnavailableError(absl::StrCat("'", name.host, "': ", gai_strerror(error)));
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, freeaddrinfo);
  std::vector<std::string> addresses;
  for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
    if (at->ai_family == AF_INET || at->ai_family == AF_INET6) {
      addresses.push_back(Printed(*at, name.port));
    }
  }
  return addresses;
}

NameWatch::NameWatch(ReplicaName name, Resolve resolve, absl::Duration interval,
                     std::function<void(const std::vector<std::string>&)> on_addresses)
    : name_(std::move(name)),
      resolve_(std::move(resolve)),
      interval_(interval),
      on_addresses_(std::move(on_addresses)),
      thread_([this] { Run(); }) {}

NameWatch::~NameWatch() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stop_.notify_one();
  thread_.join();
}

void NameWatch::Run() {
  NameThread("name-watch");
  for (;;) {
    LookUp();
    std::unique_lock lock(mutex_);
    if (stop_.wait_for(lock, absl::ToChronoMilliseconds(interval_), [this] { return stopping_; })) {
      return;
    }
  }
}

void NameWatch::LookUp() {
  absl::StatusOr<std::vector<std::string>> answer = resolve_(name_);
  if (answer.ok() && answer->empty()) answer = absl::UnavailableError("no address");
  if (!answer.ok()) {
    if (!std::exchange(failed_, true)) {
      AUTOMOT_LOG(kWarning, "name_not_resolved",
                  {{"host", name_.host}, {"why", answer.status().ToString()}});
    }
    return;
  }
  failed_ = false;
  std::sort(answer->begin(), answer->end());
  answer->erase(std::unique(answer->begin(), answer->end()), answer->end());
  if (*answer == last_) return;
  AUTOMOT_LOG(kInfo, "replicas",
              {{"host", name_.host}, {"addresses", absl::StrJoin(*answer, " ")}});
  last_ = *std::move(answer);
  on_addresses_(last_);
}

}  // namespace automot::planning
