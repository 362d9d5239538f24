#include "tests/support/fault_injection.h"

#include <algorithm>
#include <array>
#include <optional>
#include <random>
#include <span>
#include <utility>

namespace automot::test_support {
namespace {

using context::ChunkSpec;
using context::SnapshotHeader;
using context::SnapshotTrailer;
using Random = std::mt19937_64;  // its sequence is fixed by the standard, its distributions are not

std::size_t Below(Random& random, std::size_t limit) { return limit == 0 ? 0 : random() % limit; }

WireChunk* RandomChunk(Random& random, std::vector<WireMessage>& messages) {
  std::vector<WireChunk*> chunks;
  for (WireMessage& message : messages) {
    auto* const chunk = std::get_if<WireChunk>(&message);
    if (chunk != nullptr && !chunk->bytes.empty()) chunks.push_back(chunk);
  }
  return chunks.empty() ? nullptr : chunks[Below(random, chunks.size())];
}

void Drop(Random& random, std::vector<WireMessage>& messages) {
  if (messages.empty()) return;
  messages.erase(messages.begin() + static_cast<std::ptrdiff_t>(Below(random, messages.size())));
}

void Duplicate(Random& random, std::vector<WireMessage>& messages) {
  if (messages.empty()) return;
  const WireMessage copy = messages[Below(random, messages.size())];
  const auto place = static_cast<std::ptrdiff_t>(Below(random, messages.size() + 1));
  messages.insert(messages.begin() + place, copy);
}

void Reorder(Random& random, std::vector<WireMessage>& messages) {
  if (messages.size() < 2) return;
  const std::size_t a = Below(random, messages.size());
  const std::size_t b = (a + 1 + Below(random, messages.size() - 1)) % messages.size();
  std::swap(messages[a], messages[b]);
}

void Truncate(Random& random, std::vector<WireMessage>& messages) {
  WireChunk* const chunk = RandomChunk(random, messages);
  if (chunk != nullptr) chunk->bytes.resize(Below(random, chunk->bytes.size()));
}

void FlipBits(Random& random, std::vector<WireMessage>& messages) {
  WireChunk* const chunk = RandomChunk(random, messages);
  if (chunk == nullptr) return;
  const std::size_t bits = 1 + Below(random, 8);
  for (std::size_t i = 0; i < bits; ++i) {
    const std::size_t bit = Below(random, chunk->bytes.size() * 8);
    chunk->bytes[bit / 8] ^= std::byte{1} << (bit % 8);
  }
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

void CorruptMetadata(Random& random, std::vector<WireMessage>& messages) {
  if (messages.empty()) return;
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
}

void SwapLayers(Random& random, std::vector<WireMessage>& messages) {
  WireChunk* const a = RandomChunk(random, messages);
  WireChunk* const b = RandomChunk(random, messages);
  if (a == nullptr || a == b) return;
  std::swap(a->bytes, b->bytes);
  std::swap(a->spec.hash, b->spec.hash);
}

void StaleEpoch(std::vector<WireMessage>& messages) {
  for (WireMessage& message : messages) {
    if (auto* const header = std::get_if<SnapshotHeader>(&message)) --header->id.epoch;
  }
}

void StopAtByte(Random& random, std::vector<WireMessage>& messages) {
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
    return;
  }
  messages.pop_back();  // every byte, no trailer
}

void ApplyOne(FaultKind kind, Random& random, std::vector<WireMessage>& messages) {
  switch (kind) {
    case FaultKind::kNone:
      return;
    case FaultKind::kDrop:
      return Drop(random, messages);
    case FaultKind::kDuplicate:
      return Duplicate(random, messages);
    case FaultKind::kReorder:
      return Reorder(random, messages);
    case FaultKind::kTruncate:
      return Truncate(random, messages);
    case FaultKind::kFlipBits:
      return FlipBits(random, messages);
    case FaultKind::kCorruptMetadata:
      return CorruptMetadata(random, messages);
    case FaultKind::kSwapLayers:
      return SwapLayers(random, messages);
    case FaultKind::kStaleEpoch:
      return StaleEpoch(messages);
    case FaultKind::kStopAtByte:
      return StopAtByte(random, messages);
  }
}

constexpr std::array<const char*, kFaultKindCount> kNames = {
    "none",        "drop",        "duplicate",        "reorder",
    "truncate",    "flip_bits",   "corrupt_metadata", "swap_layers",
    "stale_epoch", "stop_at_byte"};

}  // namespace

std::vector<WireMessage> Messages(const context::ContextSnapshot& snapshot,
                                  std::size_t chunk_bytes) {
  const context::SnapshotManifest manifest = context::BuildManifest(snapshot, chunk_bytes);
  std::vector<WireMessage> messages{snapshot.header};
  for (const ChunkSpec& spec : manifest.chunks) {
    const std::span<const std::byte> bytes =
        snapshot.kv.Tensor(static_cast<int>(spec.layer), spec.tensor)
            .subspan(spec.offset_bytes, spec.bytes);
    messages.emplace_back(WireChunk{spec, {bytes.begin(), bytes.end()}});
  }
  messages.emplace_back(manifest.trailer);
  return messages;
}

FaultPlan FaultPlan::FromSeed(uint64_t seed) {
  FaultPlan plan;
  plan.seed_ = seed;
  Random random(seed);
  const std::size_t faults = 1 + Below(random, 3);
  for (std::size_t i = 0; i < faults; ++i) {
    plan.kinds_.push_back(static_cast<FaultKind>(Below(random, kFaultKindCount)));
  }
  return plan;
}

FaultPlan FaultPlan::Of(FaultKind kind, uint64_t seed) {
  FaultPlan plan;
  plan.seed_ = seed;
  plan.kinds_.push_back(kind);
  return plan;
}

std::vector<WireMessage> FaultPlan::Apply(std::vector<WireMessage> messages) const {
  Random random(seed_ ^ 0x9E3779B97F4A7C15ULL);  // apart from the draw of the kinds
  for (FaultKind kind : kinds_) {
    if (messages.empty()) break;
    ApplyOne(kind, random, messages);
  }
  return messages;
}

std::string FaultPlan::ToString() const {
  std::string text = "seed=" + std::to_string(seed_);
  for (FaultKind kind : kinds_) {
    text += text.find(' ') == std::string::npos ? " " : ",";
    text += kNames[static_cast<std::size_t>(kind)];
  }
  return text;
}

}  // namespace automot::test_support
