#include "common/shared_memory/region_message.h"

#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"

namespace automot::shared_memory {
namespace {

bool BringsDescriptor(RegionMessageKind kind) {
  return kind == RegionMessageKind::kWelcome || kind == RegionMessageKind::kRegion;
}

}  // namespace

absl::Status Send(int socket, const RegionMessage& message, int descriptor) {
  return SendMessage(socket, std::as_bytes(std::span(&message, 1)), descriptor);
}

absl::StatusOr<std::optional<ReceivedRegionMessage>> Receive(int socket) {
  std::array<std::byte, sizeof(RegionMessage)> bytes;
  AUTOMOT_ASSIGN_OR_RETURN(std::optional<ReceivedMessage> received, ReceiveMessage(socket, bytes));
  if (!received) return std::optional<ReceivedRegionMessage>();
  if (received->bytes != bytes.size()) {
    return absl::DataLossError(absl::StrCat("a message of the local socket has ", received->bytes,
                                            " bytes; it must have ", bytes.size()));
  }
  ReceivedRegionMessage result{.descriptor = std::move(received->descriptor)};
  std::memcpy(&result.message, bytes.data(), bytes.size());
  const auto kind = result.message.kind;
  if (result.message.version != RegionMessage::kVersion || kind < RegionMessageKind::kWelcome ||
      kind > RegionMessageKind::kEnd || result.descriptor.valid() != BringsDescriptor(kind)) {
    return absl::DataLossError(
        absl::StrCat("a message of the local socket has version ", result.message.version,
                     ", kind ", static_cast<uint32_t>(kind),
                     result.descriptor.valid() ? ", with a descriptor" : ", without a descriptor",
                     "; expected version ", RegionMessage::kVersion, " and a known kind"));
  }
  return std::optional<ReceivedRegionMessage>(std::move(result));
}

}  // namespace automot::shared_memory
