// Unix sockets that keep the borders of messages and pass descriptors. Nothing here blocks.
//
// Free functions, any thread; concurrent sends on one socket do not mix.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <optional>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/context/memory_region.h"

namespace automot::shared_memory {

using context::UniqueDescriptor;

// Listens at `path`, with the file's mode `mode`. A socket file that nobody listens at any more is
// replaced. INVALID_ARGUMENT: a path too long for a socket. ALREADY_EXISTS: somebody listens there,
// or the file is none. UNAVAILABLE: the system's reason.
absl::StatusOr<UniqueDescriptor> ListenLocal(const std::string& path, mode_t mode);
// The next caller, or none. UNAVAILABLE: the socket is of no use any more.
absl::StatusOr<std::optional<UniqueDescriptor>> AcceptLocal(int listener);
// UNAVAILABLE: nobody listens, or its queue is full.
absl::StatusOr<UniqueDescriptor> ConnectLocal(const std::string& path);

// The two ends of a connection within this process.
absl::StatusOr<std::pair<UniqueDescriptor, UniqueDescriptor>> LocalPair();

struct PeerCredentials {
  uid_t user = 0;
  pid_t process = 0;
};
// Who connected, as the kernel knows it.
absl::StatusOr<PeerCredentials> CredentialsOf(int socket);

// One message, with `descriptor` unless negative. RESOURCE_EXHAUSTED: the peer does not read; try
// later. UNAVAILABLE: the connection has ended.
absl::Status SendMessage(int socket, std::span<const std::byte> message, int descriptor = -1);

struct ReceivedMessage {
  std::size_t bytes = 0;        // read into the buffer
  UniqueDescriptor descriptor;  // passed with it, if any
};
// The next message, or none yet. UNAVAILABLE: the connection has ended. DATA_LOSS: a message longer
// than the buffer, or with more than one descriptor (all are closed).
absl::StatusOr<std::optional<ReceivedMessage>> ReceiveMessage(int socket,
                                                              std::span<std::byte> buffer);

}  // namespace automot::shared_memory
