#include "services/planning/lane/grpc_snapshot_channel.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/support/channel_arguments.h>

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/rpc/address.h"
#include "common/rpc/snapshot_transport.h"
#include "common/status/status_macros.h"

namespace automot::planning {
namespace {

constexpr char kFlag[] = "--reasoning-address";
constexpr int kMaxMessageBytes = 8 << 20;  // a chunk of at most 4 MiB and its fields

// `tls_name`: that the certificate must carry, where it is not the address's; empty: it is.
std::shared_ptr<grpc::Channel> Connect(const GrpcSnapshotChannelOptions& options,
                                       const std::string& address, const std::string& tls_name) {
  grpc::ChannelArguments arguments;
  const auto milliseconds = [](absl::Duration d) {
    return static_cast<int>(absl::ToInt64Milliseconds(d));
  };
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, milliseconds(options.ping_interval));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, milliseconds(options.ping_timeout));
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS,
                   milliseconds(options.timeouts.first_retry));
  // In spite of its name the time that one attempt to connect may take.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, milliseconds(options.timeouts.connect));
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, milliseconds(options.timeouts.last_retry));
  // Sockets of the lane's own, whatever else in the process talks to the same address.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  for (const rpc::IntegerArgument& argument : rpc::SnapshotTransportArguments()) {
    arguments.SetInt(argument.name, argument.value);
  }
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  if (!tls_name.empty()) arguments.SetSslTargetNameOverride(tls_name);
  return grpc::CreateCustomChannel(
      address,
      options.credentials != nullptr ? options.credentials : grpc::InsecureChannelCredentials(),
      arguments);
}

absl::Status NotAttached(uint64_t session) {
  return absl::NotFoundError(absl::StrCat("session ", session, " is not attached"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<GrpcSnapshotChannel>> GrpcSnapshotChannel::Create(
    GrpcSnapshotChannelOptions options) {
  if (options.addresses.empty()) {
    return absl::InvalidArgumentError("--reasoning-address is empty; at least one is needed");
  }
  for (const std::string& address : options.addresses) {
    AUTOMOT_ASSIGN_OR_RETURN(const auto name, ParseReplicaName(kFlag, address));
    if (!name) AUTOMOT_RETURN_IF_ERROR(rpc::ValidateAddress(kFlag, address));
    if (name && options.lane == context::Lane::kSharedMemory) {
      return absl::InvalidArgumentError(absl::StrCat(
          kFlag, " is '", address, "'; replicas behind a name are not reached by shared memory"));
    }
  }
  return std::unique_ptr<GrpcSnapshotChannel>(new GrpcSnapshotChannel(std::move(options)));
}

GrpcSnapshotChannel::GrpcSnapshotChannel(GrpcSnapshotChannelOptions options)
    : options_(std::move(options)),
      endpoints_([this](const std::string& address, const std::string& source) {
        return ConnectTo(address, source);
      }),
      pool_(options_.pool),
      thread_(options_.nice_value) {
  for (const std::string& address : options_.addresses) {
    const std::optional<ReplicaName> name = *ParseReplicaName(kFlag, address);  // as Create found
    if (!name) {
      thread_.Post([this, address] { endpoints_.Update(address, {address}); });
      continue;
    }
    names_.push_back(std::make_unique<NameWatch>(
        *name, options_.resolve, options_.resolve_interval,
        [this, address](const std::vector<std::string>& found) { OnResolved(address, found); }));
  }
}

GrpcSnapshotChannel::~GrpcSnapshotChannel() {
  names_.clear();
  std::unordered_map<uint64_t, std::shared_ptr<SessionLink>> links;
  {
    absl::MutexLock lock(&mutex_);
    links.swap(links_);
  }
  for (const auto& [session, link] : links) link->pass().RevokeAndWait();
  thread_.Post([this, links = std::move(links)] {
    for (const auto& [session, link] : links) link->Close();
    endpoints_.Close();
    thread_.Stop();
  });
  thread_.Join();  // the peers' threads end after the last completion
}

SessionLink::Environment GrpcSnapshotChannel::LinkEnvironment() {
  return {.thread = &thread_,
          .pool = &pool_,
          .counters = &counters_,
          .timeouts = options_.timeouts,
          .endpoints = &endpoints_};
}

EndpointPtr GrpcSnapshotChannel::ConnectTo(const std::string& address, const std::string& source) {
  Endpoint endpoint{.address = address};
  const std::optional<ReplicaName> name = *ParseReplicaName(kFlag, source);
  endpoint.channel = Connect(options_, address, name ? name->host : "");
  if (options_.lane == context::Lane::kSharedMemory) {
    endpoint.peer =
        std::make_shared<RegionPeer>(&thread_, endpoint.channel, options_.region_timeout);
  }
  return std::make_shared<const Endpoint>(std::move(endpoint));
}

void GrpcSnapshotChannel::OnResolved(const std::string& source,
                                     const std::vector<std::string>& addresses) {
  thread_.Post([this, source, addresses] {
    endpoints_.Update(source, addresses);
    std::vector<std::shared_ptr<SessionLink>> links;
    {
      absl::MutexLock lock(&mutex_);
      for (const auto& [session, link] : links_) links.push_back(link);
    }
    for (const std::shared_ptr<SessionLink>& link : links) link->OnEndpointsChanged();
  });
}

std::shared_ptr<SessionLink> GrpcSnapshotChannel::Find(uint64_t session) const {
  absl::MutexLock lock(&mutex_);
  const auto at = links_.find(session);
  return at == links_.end() ? nullptr : at->second;
}

absl::Status GrpcSnapshotChannel::Attach(const context::AttachRequest& request,
                                         context::SnapshotReceiver* receiver) {
  if (request.epoch == 0) return absl::InvalidArgumentError("epoch is 0; it must be above 0");
  if (request.session_name.empty()) {
    return absl::InvalidArgumentError("session_name is empty; the producer knows sessions by name");
  }
  std::shared_ptr<SessionLink> old, link;
  {
    absl::MutexLock lock(&mutex_);
    const auto at = links_.find(request.session);
    if (at != links_.end()) old = at->second;
    if (old == nullptr && links_.size() >= options_.session_limit) {
      return absl::ResourceExhaustedError(absl::StrCat("attached sessions: ", links_.size(), " of ",
                                                       options_.session_limit, " are in use"));
    }
    link = std::make_shared<SessionLink>(
        LinkEnvironment(), request, receiver,
        old != nullptr ? old->pass().gate() : std::make_shared<context::ReceiverGate>(),
        old != nullptr ? old->carry() : std::make_shared<SessionCarry>(options_.outbox));
    links_[request.session] = link;
  }
  {
    absl::MutexLock lock(&link->carry()->mutex);
    link->carry()->outbox.SetLossless(request.lossless);
    link->carry()->StartEpisode(request.episode);
  }
  if (old != nullptr) old->pass().Revoke();
  thread_.Post([old, link] {
    if (old != nullptr) old->Close();
    link->Start();
  });
  return absl::OkStatus();
}

absl::Status GrpcSnapshotChannel::Submit(context::SlowObservationPtr observation) {
  const std::shared_ptr<SessionLink> link = Find(observation->session);
  if (link == nullptr) return NotAttached(observation->session);
  ObservationOutbox::Outcome outcome;
  const uint32_t episode = observation->episode;
  bool new_episode = false;
  {
    absl::MutexLock lock(&link->carry()->mutex);
    if (episode < link->carry()->episode) return absl::OkStatus();  // dropped
    new_episode = link->carry()->StartEpisode(episode);
    outcome = link->carry()->outbox.Add(observation);
  }
  counters_.submitted.fetch_add(1, std::memory_order_relaxed);
  thread_.Post([link, new_episode, episode] {
    if (new_episode) link->SetEpisode(episode);
    link->Pump();
  });
  if (outcome == ObservationOutbox::Outcome::kFull) {
    counters_.dropped.fetch_add(1, std::memory_order_relaxed);
    return absl::ResourceExhaustedError(absl::StrCat("observations waiting for session ",
                                                     observation->session, ": the limit is ",
                                                     options_.outbox.lossless_capacity));
  }
  if (outcome == ObservationOutbox::Outcome::kSuperseded) {
    counters_.superseded.fetch_add(1, std::memory_order_relaxed);
  }
  if (!link->up()) {
    return absl::UnavailableError(
        "the reasoning link is down; the observation is kept for its return");
  }
  return absl::OkStatus();
}

absl::Status GrpcSnapshotChannel::Reset(uint64_t session, uint32_t episode) {
  const std::shared_ptr<SessionLink> link = Find(session);
  if (link == nullptr) return NotAttached(session);
  {
    absl::MutexLock lock(&link->carry()->mutex);
    if (!link->carry()->StartEpisode(episode)) return absl::OkStatus();
  }
  // The producer learns of the episode by its first observation.
  thread_.Post([link, episode] { link->SetEpisode(episode); });
  return absl::OkStatus();
}

void GrpcSnapshotChannel::Detach(uint64_t session) {
  std::shared_ptr<SessionLink> link;
  {
    absl::MutexLock lock(&mutex_);
    const auto at = links_.find(session);
    if (at == links_.end()) return;
    link = std::move(at->second);
    links_.erase(at);
  }
  link->pass().RevokeAndWait();
  thread_.Post([link] { link->Close(); });
}

context::LinkStats GrpcSnapshotChannel::stats() const {
  context::LinkStats stats;
  const bool up = counters_.up.load(std::memory_order_relaxed) > 0;
  const bool draining = counters_.draining.load(std::memory_order_relaxed) > 0;
  stats.state = !up        ? context::LinkState::kDown
                : draining ? context::LinkState::kDraining
                           : context::LinkState::kUp;
  stats.observations_submitted = counters_.submitted.load(std::memory_order_relaxed);
  stats.observations_superseded = counters_.superseded.load(std::memory_order_relaxed);
  stats.observations_dropped = counters_.dropped.load(std::memory_order_relaxed);
  stats.snapshots_received = counters_.received.load(std::memory_order_relaxed);
  stats.snapshots_refused = counters_.refused.load(std::memory_order_relaxed);
  stats.bytes_received = counters_.bytes.load(std::memory_order_relaxed);
  for (std::size_t i = 0; i < stats.refusals.size(); ++i) {
    stats.refusals.at(i) = counters_.refusals.at(i).load(std::memory_order_relaxed);
  }
  stats.bytes_copied = counters_.copied.load(std::memory_order_relaxed);
  stats.bytes_reused = counters_.reused.load(std::memory_order_relaxed);
  for (std::size_t i = 0; i < stats.rehomes.size(); ++i) {
    stats.rehomes.at(i) = counters_.rehomes.at(i).load(std::memory_order_relaxed);
  }
  stats.reconnects = counters_.reconnects.load(std::memory_order_relaxed);
  return stats;
}

}  // namespace automot::planning
