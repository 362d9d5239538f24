// What producer and consumer of shared regions say to each other over their local socket. One fixed
// size, so that nothing received is trusted for a length.
//
//   consumer                            producer
//   (connects)                       -> judges the peer's credentials: kRefused, or
//                                    <- kWelcome + descriptor of a probe region
//   kProbe: hash of what it mapped   -> compares
//                                    <- kReady: the token may be used
//                                    <- kRegion + descriptor, before the first use of a region
//                                    <- kRegionGone: the region is never used again
//   kRelease                         -> the use of the region is over
//   kEnd: so many uses came          -> those that did not come are over too
//
// Both ends run on one machine from one build: native byte order, and the version must be equal.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "common/shared_memory/local_socket.h"

namespace automot::shared_memory {

inline constexpr std::size_t kTokenBytes = 16;

enum class RegionMessageKind : uint32_t {
  kWelcome = 1,
  kRefused,
  kProbe,
  kReady,
  kRegion,
  kRegionGone,
  kRelease,
  kEnd,
};

struct RegionMessage {
  static constexpr uint32_t kVersion = 0x41534d01;  // "ASM", 1

  uint32_t version = kVersion;
  RegionMessageKind kind = RegionMessageKind::kRefused;
  uint64_t region = 0;  // kRegion, kRegionGone, kRelease; kWelcome: producer; kEnd: subscription
  uint64_t generation = 0;      // kRelease
  uint64_t value = 0;           // kWelcome, kRegion: bytes; kProbe: hash; kEnd: uses that came
  uint64_t consumer_bytes = 0;  // kWelcome: bytes that the consumer may hold at once
  std::array<char, kTokenBytes> token{};  // kWelcome

  std::string_view token_view() const { return {token.data(), token.size()}; }
};
static_assert(sizeof(RegionMessage) == 56);

absl::Status Send(int socket, const RegionMessage& message, int descriptor = -1);

struct ReceivedRegionMessage {
  RegionMessage message;
  UniqueDescriptor descriptor;
};
// As ReceiveMessage; DATA_LOSS also for another size, version or kind, and for a descriptor that
// does not belong to the kind or is missing.
absl::StatusOr<std::optional<ReceivedRegionMessage>> Receive(int socket);

}  // namespace automot::shared_memory
