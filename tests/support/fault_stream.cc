#include "tests/support/fault_stream.h"

#include <algorithm>
#include <memory>
#include <random>

namespace automot::test_support {
namespace {

using context::ContextSnapshot;
using context::SnapshotHeader;
using context::TensorKind;
using faults::WireMessage;

constexpr uint64_t kEpoch = 40;
constexpr uint32_t kEpisode = 2;

void Number(SnapshotHeader& header, uint64_t session, uint64_t version) {
  header.id = {.session = session, .episode = kEpisode, .epoch = kEpoch, .version = version};
  header.capture_time_us = static_cast<SessionTimeUs>(version) * 100'000;
}

context::SnapshotPtr MakeContent(const context::ContextLayout& layout, uint64_t seed) {
  auto snapshot = std::make_shared<ContextSnapshot>();
  SnapshotHeader& header = snapshot->header;
  Number(header, 1, 1);
  header.frame_capture_times_us = {0, 500'000};
  header.history_spacing_s = 0.5;
  header.prompt.speed_mps = 3.0 + static_cast<double>(seed);
  header.position_start = 61 + static_cast<int64_t>(seed);
  header.layout = layout;
  header.model_revision = "revision";
  header.prompt_template = "carla";
  header.instruction_mask = "causal";
  snapshot->kv = context::KvBuffer::Allocate(layout).value();
  std::mt19937_64 random(seed + 1);
  for (int layer = 0; layer < layout.layers; ++layer) {
    for (const TensorKind tensor : {TensorKind::kKey, TensorKind::kValue}) {
      for (std::byte& byte : snapshot->kv.Tensor(layer, tensor)) byte = std::byte(random() & 0xFF);
    }
  }
  snapshot->decision.emplace();
  snapshot->decision->slot_count = 1;
  snapshot->decision->slots[0].time_us = 1000 + static_cast<SessionTimeUs>(seed);
  return snapshot;
}

bool SameHeader(const SnapshotHeader& a, const SnapshotHeader& b) {
  return a.frame_capture_times_us == b.frame_capture_times_us &&
         a.history_spacing_s == b.history_spacing_s && a.position_start == b.position_start &&
         a.prompt.speed_mps == b.prompt.speed_mps && a.layout == b.layout &&
         a.model_revision == b.model_revision && a.prompt_template == b.prompt_template &&
         a.instruction_mask == b.instruction_mask;
}

}  // namespace

StreamSource::StreamSource(const context::ContextLayout& layout) {
  for (uint64_t i = 0; i < kStreamVersions; ++i) {
    contents_[i] = MakeContent(layout, i);
    messages_[i] = faults::Messages(*contents_[i], context::kMinChunkBytes);
  }
}

std::vector<WireMessage> StreamSource::Good(uint64_t session, uint64_t version) const {
  std::vector<WireMessage> messages = messages_[version % kStreamVersions];
  Number(std::get<SnapshotHeader>(messages.front()), session, version);
  faults::Reseal(messages);
  return messages;
}

context::SnapshotExpectation StreamSource::Expectation(uint64_t session) const {
  return {.session = session,
          .episode = kEpisode,
          .epoch = kEpoch,
          .model_revision = "revision",
          .prompt_template = "carla",
          .instruction_mask = "causal",
          .history_spacing_s = 0.5,
          .layout = contents_[0]->header.layout};
}

std::string StreamSource::Difference(const ContextSnapshot& snapshot, uint64_t session,
                                     uint64_t version) const {
  const ContextSnapshot& want = *contents_[version % kStreamVersions];
  SnapshotHeader numbers;
  Number(numbers, session, version);
  if (snapshot.header.id != numbers.id) return "another id";
  if (snapshot.header.capture_time_us != numbers.capture_time_us) return "another capture time";
  if (!SameHeader(snapshot.header, want.header)) return "another header";
  if (!snapshot.decision ||
      snapshot.decision->slots[0].time_us != want.decision->slots[0].time_us) {
    return "another decision";
  }
  for (int layer = 0; layer < want.header.layout.layers; ++layer) {
    for (const TensorKind tensor : {TensorKind::kKey, TensorKind::kValue}) {
      if (!std::ranges::equal(snapshot.kv.Tensor(layer, tensor), want.kv.Tensor(layer, tensor))) {
        return "other bytes in layer " + std::to_string(layer);
      }
    }
  }
  return "";
}

}  // namespace automot::test_support
