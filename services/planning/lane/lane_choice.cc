#include "services/planning/lane/lane_choice.h"

#include <grpcpp/create_channel.h>

#include <chrono>

#include "absl/strings/str_cat.h"
#include "automot/v1/reasoning_service.grpc.pb.h"
#include "common/logging/log.h"
#include "common/rpc/status_conversion.h"
#include "common/shared_memory/region_client.h"
#include "common/status/status_macros.h"

namespace automot::planning {
namespace {

absl::Status Try(const std::string& address, const GrpcSnapshotChannelOptions& options,
                 absl::Duration patience) {
  const auto channel = grpc::CreateChannel(address, options.credentials != nullptr
                                                        ? options.credentials
                                                        : grpc::InsecureChannelCredentials());
  grpc::ClientContext call;
  call.set_wait_for_ready(true);
  call.set_deadline(std::chrono::system_clock::now() + absl::ToChronoMicroseconds(patience));
  v1::GetReasoningStatusResponse status;
  const grpc::Status asked =
      v1::ReasoningService::NewStub(channel)->GetReasoningStatus(&call, {}, &status);
  if (!asked.ok()) return rpc::FromGrpcStatus(asked);
  if (status.shared_memory_socket().empty()) {
    return absl::UnavailableError("it announces no shared-memory socket");
  }
  return shared_memory::RegionClient::Connect({.path = status.shared_memory_socket(),
                                               .producer = status.shared_memory_producer(),
                                               .timeout = patience})
      .status();
}

absl::StatusOr<LaneChoice> Choose(std::optional<context::Lane> wanted,
                                  const GrpcSnapshotChannelOptions& options,
                                  absl::Duration patience) {
  if (wanted == context::Lane::kGrpc) return LaneChoice{context::Lane::kGrpc, "asked for"};
  for (const std::string& address : options.addresses) {
    AUTOMOT_ASSIGN_OR_RETURN(const auto name, ParseReplicaName("--reasoning-address", address));
    const absl::Status tried =
        name ? absl::UnavailableError("replicas behind a name are on other hosts")
             : Try(address, options, patience);
    if (tried.ok()) continue;
    const std::string why = absl::StrCat(address, ": ", tried.ToString());
    if (!wanted) return LaneChoice{context::Lane::kGrpc, why};
    return absl::FailedPreconditionError(
        absl::StrCat("--context-lane shared_memory is not possible with producer ", why));
  }
  return LaneChoice{context::Lane::kSharedMemory, "every producer passed the trial"};
}

}  // namespace

absl::StatusOr<LaneChoice> ChooseLane(std::optional<context::Lane> wanted,
                                      const GrpcSnapshotChannelOptions& options,
                                      absl::Duration patience) {
  absl::StatusOr<LaneChoice> choice = Choose(wanted, options, patience);
  if (choice.ok()) {
    AUTOMOT_LOG(kInfo, "context_lane",
                {{"lane", context::ToString(choice->lane)},
                 {"wanted", wanted ? context::ToString(*wanted) : "auto"},
                 {"reason", choice->reason}});
  }
  return choice;
}

}  // namespace automot::planning
