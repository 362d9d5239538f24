#include "common/rpc/snapshot_transport.h"

#include <grpc/impl/codegen/grpc_types.h>
#include <malloc.h>

#include <cstdlib>

namespace automot::rpc {
namespace {

constexpr int kMiB = 1 << 20;

constexpr IntegerArgument kArguments[] = {
    {GRPC_ARG_HTTP2_MAX_FRAME_SIZE, 16 * kMiB - 1},  // the protocol's largest: a chunk is one frame
    {GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 16 * kMiB},  // what may be under way unread
    {GRPC_ARG_HTTP2_BDP_PROBE, 0},                       // the line above is the window, at once
    {GRPC_ARG_TCP_READ_CHUNK_SIZE, kMiB / 4},
    {GRPC_ARG_TCP_MAX_READ_CHUNK_SIZE, 4 * kMiB},
};

}  // namespace

std::span<const IntegerArgument> SnapshotTransportArguments() { return kArguments; }

void PrepareProcessForSnapshots() {
  // A read completes when its frame is there, and the socket wakes its reader only then.
  ::setenv("GRPC_EXPERIMENTS", "tcp_frame_size_tuning,tcp_rcv_lowat", /*overwrite=*/0);
  // The C library raises both by itself, at some time; until then each read maps and unmaps pages.
  ::mallopt(M_MMAP_THRESHOLD, 8 * kMiB);
  ::mallopt(M_TRIM_THRESHOLD, 64 * kMiB);
}

}  // namespace automot::rpc
