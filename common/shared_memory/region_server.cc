#include "common/shared_memory/region_server.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/concurrency/thread_placement.h"
#include "common/logging/log.h"
#include "common/status/status_macros.h"

namespace automot::shared_memory {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

constexpr std::size_t kProbeBytes = 4096;
constexpr int kMessagesPerTurn = 64;  // of one connection, before the others have theirs

bool FillRandom(std::span<std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t filled = getrandom(bytes.data(), std::min<std::size_t>(bytes.size(), 256), 0);
    if (filled < 0 && errno != EINTR) return false;
    if (filled > 0) bytes = bytes.subspan(static_cast<std::size_t>(filled));
  }
  return true;
}

}  // namespace

struct RegionServer::Connection {
  std::shared_ptr<RegionConsumer> consumer;
  PeerCredentials peer;
  SteadyTime prove_until;
  bool proved = false;
};

absl::StatusOr<std::unique_ptr<RegionServer>> RegionServer::Start(
    const RegionServerOptions& options) {
  AUTOMOT_ASSIGN_OR_RETURN(auto probe, context::MemoryRegion::Create(kProbeBytes, true));
  uint64_t producer = 0;
  if (!FillRandom(probe->bytes()) || !FillRandom(std::as_writable_bytes(std::span(&producer, 1)))) {
    return absl::UnavailableError("the system gives no random numbers");
  }
  const mode_t mode = options.allowed_users.empty() ? 0600 : 0666;
  AUTOMOT_ASSIGN_OR_RETURN(UniqueDescriptor listener, ListenLocal(options.path, mode));
  UniqueDescriptor wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.valid()) return absl::UnavailableError("the system gives no event descriptor");
  return std::unique_ptr<RegionServer>(new RegionServer(
      options, std::move(listener), std::move(wake), std::move(probe), producer | 1));
}

RegionServer::RegionServer(const RegionServerOptions& options, UniqueDescriptor listener,
                           UniqueDescriptor wake, std::shared_ptr<context::MemoryRegion> probe,
                           uint64_t producer)
    : options_(options),
      listener_(std::move(listener)),
      wake_(std::move(wake)),
      probe_(std::move(probe)),
      producer_(producer),
      thread_([this] { Main(); }) {}

RegionServer::~RegionServer() {
  const uint64_t one = 1;
  // An event counter that nobody else writes to takes a one.
  [[maybe_unused]] const ssize_t written = write(wake_.get(), &one, sizeof(one));
  thread_.join();
  unlink(options_.path.c_str());
}

absl::StatusOr<std::shared_ptr<RegionLoans>> RegionServer::Open(std::string_view token,
                                                                uint64_t subscription) {
  const std::lock_guard lock(mutex_);
  const auto at = by_token_.find(token);
  if (at == by_token_.end()) {
    return absl::FailedPreconditionError(
        "shared_memory_token belongs to no connection of the shared-memory socket");
  }
  return at->second->Open(subscription);
}

RegionServerStats RegionServer::stats() const {
  const std::lock_guard lock(mutex_);
  RegionServerStats stats = stats_;
  stats.consumers = by_token_.size();
  return stats;
}

bool RegionServer::Allowed(uid_t user) const {
  const auto& allowed = options_.allowed_users;
  return user == geteuid() || std::find(allowed.begin(), allowed.end(), user) != allowed.end();
}

int RegionServer::PollTimeoutMs() const {
  const bool waiting = std::any_of(connections_.begin(), connections_.end(),
                                   [](const auto& connection) { return !connection->proved; });
  return waiting ? 100 : -1;
}

void RegionServer::Main() {
  NameThread("shared-regions");
  std::vector<pollfd> polled;
  while (true) {
    polled.assign({{wake_.get(), POLLIN, 0}, {listener_.get(), POLLIN, 0}});
    for (const auto& connection : connections_) {
      polled.push_back({connection->consumer->socket(), POLLIN, 0});
    }
    if (poll(polled.data(), polled.size(), PollTimeoutMs()) < 0 && errno != EINTR) break;
    if ((polled[0].revents & POLLIN) != 0) break;
    const auto now = std::chrono::steady_clock::now();
    for (std::size_t i = connections_.size(); i-- > 0;) {
      Connection& connection = *connections_[i];
      if (polled[i + 2].revents != 0 && !Serve(connection)) {
        End(i, "ended");
      } else if (!connection.proved && now > connection.prove_until) {
        End(i, "did not answer the probe in time");
      }
    }
    if (polled[1].revents != 0) AcceptAll();
  }
  while (!connections_.empty()) End(connections_.size() - 1, "the service stops");
}

void RegionServer::AcceptAll() {
  while (true) {
    auto caller = AcceptLocal(listener_.get());
    if (!caller.ok() || !*caller) return;
    Admit(std::move(**caller));
  }
}

void RegionServer::Admit(UniqueDescriptor socket) {
  const auto peer = CredentialsOf(socket.get());
  const char* why = nullptr;
  if (!peer.ok() || !Allowed(peer->user)) why = "the user is not allowed";
  if (connections_.size() >= options_.consumers) why = "too many connections";
  std::string token(kTokenBytes, '\0');
  if (!FillRandom(std::as_writable_bytes(std::span(token)))) why = "no random numbers";
  if (why != nullptr) {
    AUTOMOT_LOG(kWarning, "shared_memory_refused",
                {{"why", why}, {"user", peer.ok() ? static_cast<int64_t>(peer->user) : -1}});
    Send(socket.get(), {.kind = RegionMessageKind::kRefused}).IgnoreError();
    const std::lock_guard lock(mutex_);
    ++stats_.refused;
    return;
  }
  RegionMessage welcome = {.kind = RegionMessageKind::kWelcome,
                           .region = producer_,
                           .value = kProbeBytes,
                           .consumer_bytes = options_.limits.consumer_bytes};
  std::copy(token.begin(), token.end(), welcome.token.begin());
  if (!Send(socket.get(), welcome, probe_->descriptor()).ok()) return;
  auto connection = std::make_unique<Connection>();
  connection->peer = *peer;
  connection->prove_until =
      std::chrono::steady_clock::now() + absl::ToChronoMilliseconds(options_.handshake);
  connection->consumer =
      std::make_shared<RegionConsumer>(std::move(socket), std::move(token), options_.limits);
  connections_.push_back(std::move(connection));
}

bool RegionServer::Serve(Connection& connection) {
  for (int i = 0; i < kMessagesPerTurn; ++i) {
    const auto received = Receive(connection.consumer->socket());
    if (!received.ok()) return false;
    if (!*received) return true;
    if (!Take(connection, (*received)->message)) return false;
  }
  return true;
}

bool RegionServer::Take(Connection& connection, const RegionMessage& message) {
  RegionConsumer& consumer = *connection.consumer;
  if (!connection.proved) {
    const uint64_t hash = XXH3_64bits(probe_->bytes().data(), probe_->bytes().size());
    if (message.kind != RegionMessageKind::kProbe || message.value != hash) return false;
    connection.proved = true;
    {
      const std::lock_guard lock(mutex_);
      by_token_[consumer.token()] = connection.consumer;
      ++stats_.accepted;
    }
    return Send(consumer.socket(), {.kind = RegionMessageKind::kReady}).ok();
  }
  if (message.kind == RegionMessageKind::kRelease) {
    consumer.Release(message.region, message.generation);
    return true;
  }
  if (message.kind == RegionMessageKind::kEnd) {
    consumer.End(message.region, message.value);
    return true;
  }
  return false;
}

void RegionServer::End(std::size_t index, const char* why) {
  const std::unique_ptr<Connection> connection = std::move(connections_[index]);
  connections_.erase(connections_.begin() + static_cast<std::ptrdiff_t>(index));
  {
    const std::lock_guard lock(mutex_);
    if (!connection->proved) ++stats_.refused;
    by_token_.erase(connection->consumer->token());
  }
  AUTOMOT_LOG(kInfo, "shared_memory_consumer_ended",
              {{"why", why},
               {"process", static_cast<int64_t>(connection->peer.process)},
               {"held_bytes", connection->consumer->held_bytes()}});
  connection->consumer->Drop();
}

}  // namespace automot::shared_memory
