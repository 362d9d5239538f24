// Settings of the connections that carry snapshots, for both of their ends; decision record 0016.
#pragma once

#include <span>

namespace automot::rpc {

struct IntegerArgument {
  const char* name;
  int value;
};

// Channel arguments of the client's channel and of the server. Constant, any thread.
std::span<const IntegerArgument> SnapshotTransportArguments();

// What a process that sends or receives snapshots sets once: gRPC's reads by message instead of by
// packet, and an allocator that keeps the memory of read buffers. Call it at the start of main,
// before the first use of gRPC and the first thread. GRPC_EXPERIMENTS, where it is set, holds.
void PrepareProcessForSnapshots();

}  // namespace automot::rpc
