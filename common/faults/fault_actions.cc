#include "common/faults/fault_actions.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace automot::faults {
namespace {

using context::ChunkSpec;
using context::SnapshotHeader;
using context::SnapshotTrailer;
using Messages = std::vector<WireMessage>;

WireChunk* RandomChunk(Random& random, Messages& messages) {
  const auto fits = [](const WireMessage& message) {
    const auto* const chunk = std::get_if<WireChunk>(&message);
    return chunk != nullptr && !chunk->bytes.empty();
  };
  const auto count = static_cast<std::size_t>(std::ranges::count_if(messages, fits));
  if (count == 0) return nullptr;
  std::size_t skip = Below(random, count);
  const auto at = std::ranges::find_if(
      messages, [&](const WireMessage& message) { return fits(message) && skip-- == 0; });
  return std::get_if<WireChunk>(&*at);
}

Messages::iterator At(Messages& messages, std::size_t index) {
  return messages.begin() + static_cast<std::ptrdiff_t>(index);
}

bool Drop(Random& random, Messages& messages) {
  messages.erase(At(messages, Below(random, messages.size())));
  return true;
}

// Behind one to all of those that follow; the last message stays late.
bool Delay(Random& random, FaultedMessages& faulted) {
  Messages& messages = faulted.messages;
  const std::size_t from = Below(random, messages.size());
  const std::size_t places = 1 + Below(random, messages.size());
  if (from + places >= messages.size()) {
    faulted.late.push_back(std::move(messages[from]));
    messages.erase(At(messages, from));
  } else {
    std::rotate(At(messages, from), At(messages, from + 1), At(messages, from + places + 1));
  }
  return true;
}

bool Duplicate(Random& random, Messages& messages) {
  WireMessage copy = messages[Below(random, messages.size())];
  messages.insert(At(messages, Below(random, messages.size() + 1)), std::move(copy));
  return true;
}

bool Reorder(Random& random, Messages& messages) {
  if (messages.size() < 2) return false;
  const std::size_t a = Below(random, messages.size());
  const std::size_t b = (a + 1 + Below(random, messages.size() - 1)) % messages.size();
  std::swap(messages[a], messages[b]);
  return true;
}

bool Truncate(Random& random, Messages& messages) {
  WireChunk* const chunk = RandomChunk(random, messages);
  if (chunk == nullptr) return false;
  chunk->bytes.resize(Below(random, chunk->bytes.size()));
  return true;
}

bool FlipBits(Random& random, Messages& messages) {
  WireChunk* const chunk = RandomChunk(random, messages);
  if (chunk == nullptr) return false;
  const std::size_t bits = 1 + Below(random, 8);
  for (std::size_t i = 0; i < bits; ++i) {
    const std::size_t bit = Below(random, chunk->bytes.size() * 8);
    chunk->bytes[bit / 8] ^= std::byte{1} << (bit % 8);
  }
  return true;
}

void CorruptChunkSpec(Random& random, ChunkSpec& spec) {
  const uint64_t change = uint64_t{1} << Below(random, 64);
  switch (Below(random, 5)) {
    case 0:
      spec.layer ^= static_cast<uint32_t>(1U << Below(random, 32));
      break;
    case 1:
      spec.tensor = static_cast<context::TensorKind>(Below(random, 256));
      break;
    case 2:
      spec.offset_bytes ^= change;
      break;
    case 3:
      spec.bytes ^= change;
      break;
    default:
      spec.hash ^= change;
      break;
  }
}

void CorruptHeader(Random& random, SnapshotHeader& header) {
  const int bit = static_cast<int>(1U << Below(random, 31));
  switch (Below(random, 8)) {
    case 0:
      header.id.version ^= uint64_t{1} << Below(random, 64);
      break;
    case 1:
      header.capture_time_us ^= bit;
      break;
    case 2:
      header.position_start ^= bit;
      break;
    case 3:
      header.layout.layers ^= bit;
      break;
    case 4:
      header.layout.tokens ^= bit;
      break;
    case 5:
      header.layout.v_head_dim ^= bit;
      break;
    case 6:
      header.prompt.speed_mps += 1.0;
      break;
    default:
      header.model_revision += '!';
      break;
  }
}

bool CorruptMetadata(Random& random, Messages& messages) {
  WireMessage& message = messages[Below(random, messages.size())];
  if (auto* const chunk = std::get_if<WireChunk>(&message)) CorruptChunkSpec(random, chunk->spec);
  if (auto* const header = std::get_if<SnapshotHeader>(&message)) CorruptHeader(random, *header);
  if (auto* const trailer = std::get_if<SnapshotTrailer>(&message)) {
    if (trailer->decision && Below(random, 2) == 0) {
      trailer->decision->slots[0].time_us += 1;
    } else {
      trailer->digest.low ^= uint64_t{1} << Below(random, 64);
    }
  }
  return true;
}

bool SwapLayers(Random& random, Messages& messages) {
  WireChunk* const a = RandomChunk(random, messages);
  WireChunk* const b = RandomChunk(random, messages);
  if (a == nullptr || a == b) return false;
  std::swap(a->bytes, b->bytes);
  std::swap(a->spec.hash, b->spec.hash);
  return true;
}

// From a header to its trailer, or as far as the messages go.
bool Replay(Random& random, Messages& messages) {
  std::vector<std::size_t> headers;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    if (std::holds_alternative<SnapshotHeader>(messages[i])) headers.push_back(i);
  }
  if (headers.empty()) return false;
  const auto first = At(messages, headers[Below(random, headers.size())]);
  const auto trailer = std::find_if(first, messages.end(), [](const WireMessage& message) {
    return std::holds_alternative<SnapshotTrailer>(message);
  });
  const Messages again(first, trailer == messages.end() ? trailer : std::next(trailer));
  messages.insert(messages.end(), again.begin(), again.end());
  return true;
}

bool StaleEpoch(Messages& messages) {
  bool any = false;
  for (WireMessage& message : messages) {
    if (auto* const header = std::get_if<SnapshotHeader>(&message)) {
      --header->id.epoch;
      any = true;
    }
  }
  return any;
}

bool StopAtByte(Random& random, FaultedMessages& faulted) {
  Messages& messages = faulted.messages;
  faulted.killed = true;
  std::size_t total = 0;
  for (const WireMessage& message : messages) {
    if (const auto* const chunk = std::get_if<WireChunk>(&message)) total += chunk->bytes.size();
  }
  std::size_t left = Below(random, total + 1);
  for (std::size_t i = 0; i < messages.size(); ++i) {
    auto* const chunk = std::get_if<WireChunk>(&messages[i]);
    if (chunk == nullptr) continue;
    if (chunk->bytes.size() <= left) {
      left -= chunk->bytes.size();
      continue;
    }
    // What a length-prefixed transport delivers of a message cut short: nothing.
    messages.resize(i);
    return true;
  }
  messages.pop_back();  // every byte, no trailer
  return true;
}

}  // namespace

bool InjectOne(FaultKind kind, Random& random, FaultedMessages& faulted) {
  switch (kind) {
    case FaultKind::kNone:
      return false;
    case FaultKind::kDrop:
      return Drop(random, faulted.messages);
    case FaultKind::kDelay:
      return Delay(random, faulted);
    case FaultKind::kDuplicate:
      return Duplicate(random, faulted.messages);
    case FaultKind::kReorder:
      return Reorder(random, faulted.messages);
    case FaultKind::kTruncate:
      return Truncate(random, faulted.messages);
    case FaultKind::kFlipBits:
      return FlipBits(random, faulted.messages);
    case FaultKind::kCorruptMetadata:
      return CorruptMetadata(random, faulted.messages);
    case FaultKind::kSwapLayers:
      return SwapLayers(random, faulted.messages);
    case FaultKind::kReplay:
      return Replay(random, faulted.messages);
    case FaultKind::kStaleEpoch:
      return StaleEpoch(faulted.messages);
    case FaultKind::kStopAtByte:
      return StopAtByte(random, faulted);
  }
  return false;
}

}  // namespace automot::faults
