#include "common/rpc/server_limits.h"

#include <grpcpp/resource_quota.h>
#include <sys/resource.h>

#include <algorithm>
#include <limits>

namespace automot::rpc {
namespace {

int Milliseconds(absl::Duration duration) {
  return static_cast<int>(
      std::clamp<int64_t>(absl::ToInt64Milliseconds(duration), 1, std::numeric_limits<int>::max()));
}

}  // namespace

void ApplyLimits(const ServerLimits& limits, grpc::ServerBuilder* builder) {
  grpc::ResourceQuota quota("server");
  quota.Resize(limits.transport_memory_bytes);
  builder->SetResourceQuota(quota);
  builder->SetMaxReceiveMessageSize(limits.max_message_bytes);
  const auto set = [builder](const char* name, int value) {
    builder->AddChannelArgument(name, value);
  };
  set(GRPC_ARG_ALLOW_REUSEPORT, 0);
  set(GRPC_ARG_MAX_CONCURRENT_STREAMS, limits.streams_per_connection);
  set(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, Milliseconds(limits.handshake_limit));
  set(GRPC_ARG_MAX_CONNECTION_IDLE_MS, Milliseconds(limits.idle_limit));
  set(GRPC_ARG_KEEPALIVE_TIME_MS, Milliseconds(limits.ping_after));
  set(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, Milliseconds(limits.ping_timeout));
  set(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  set(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, Milliseconds(limits.pings_apart));
  set(GRPC_ARG_HTTP2_MAX_PING_STRIKES, limits.ping_strikes);
}

void RaiseFileLimit() {
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur == files.rlim_max) return;
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
}

}  // namespace automot::rpc
