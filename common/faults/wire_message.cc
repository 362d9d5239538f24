#include "common/faults/wire_message.h"

#include <optional>
#include <span>

namespace automot::faults {

std::vector<WireMessage> Messages(const context::ContextSnapshot& snapshot, std::size_t chunk_bytes,
                                  std::string_view session_name) {
  context::SnapshotManifest manifest = context::BuildManifest(snapshot, chunk_bytes);
  std::vector<WireMessage> messages{snapshot.header};
  for (const context::ChunkSpec& spec : manifest.chunks) {
    const std::span<const std::byte> bytes =
        snapshot.kv.Tensor(static_cast<int>(spec.layer), spec.tensor)
            .subspan(spec.offset_bytes, spec.bytes);
    messages.emplace_back(WireChunk{spec, {bytes.begin(), bytes.end()}});
  }
  messages.emplace_back(std::move(manifest.trailer));
  if (!session_name.empty()) Reseal(messages, session_name);
  return messages;
}

void Reseal(std::vector<WireMessage>& messages, std::string_view session_name) {
  std::optional<context::ManifestHasher> hasher;
  for (WireMessage& message : messages) {
    if (const auto* header = std::get_if<context::SnapshotHeader>(&message)) {
      hasher.emplace(*header, session_name);
    } else if (!hasher) {
      continue;
    } else if (const auto* chunk = std::get_if<WireChunk>(&message)) {
      hasher->Add(chunk->spec);
    } else {
      auto& trailer = std::get<context::SnapshotTrailer>(message);
      trailer.digest = hasher->Finish(trailer.decision);
    }
  }
}

}  // namespace automot::faults
