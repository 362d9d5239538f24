// Input: a sequence of what a lane may deliver: headers, chunks and trailers, right or changed. A
// snapshot comes out only if every byte of it is the producer's, and no buffer is lost.
#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "common/context/snapshot_assembler.h"
#include "common/context/snapshot_manifest.h"
#include "tests/fuzz/byte_source.h"
#include "tests/fuzz/fuzz_check.h"
#include "tests/unit/common/context/snapshot_fixture.h"

namespace automot::context {
namespace {

using fuzz::ByteSource;
using fuzz::Check;

struct Produced {
  SnapshotPtr snapshot = SmallSnapshot();
  SnapshotManifest manifest = BuildManifest(*snapshot, kMinChunkBytes);
};

const Produced& TheProduced() {
  static const auto* produced = new Produced;
  return *produced;
}

std::span<const std::byte> BytesOf(const ChunkSpec& chunk) {
  return TheProduced()
      .snapshot->kv.Tensor(static_cast<int>(chunk.layer), chunk.tensor)
      .subspan(chunk.offset_bytes, chunk.bytes);
}

ManifestDigest DigestWith(const std::optional<Decision>& decision) {
  ManifestHasher hasher(TheProduced().snapshot->header);
  for (const ChunkSpec& chunk : TheProduced().manifest.chunks) hasher.Add(chunk);
  return hasher.Finish(decision);
}

class Receiver {
 public:
  void Step(ByteSource& source) {
    switch (source.Choose(8)) {
      case 0:
        return Begin(TheProduced().snapshot->header, source);
      case 1:
        return Begin(Changed(source), source);
      case 2:
        return Finish(source);
      case 3:
        assembler_.Abort();
        genuine_ = false;
        return Check(!assembler_.in_progress(), "an abort ends the snapshot");
      case 4:
        return AddChanged(source);
      default:
        return AddNext(source);
    }
  }
  void CheckBuffers() const {
    const size_t lent = pool_.stats().lent_buffers;
    Check(lent == (assembler_.in_progress() ? 1U : 0U), "buffers come back");
  }

 private:
  static SnapshotHeader Changed(ByteSource& source) {
    SnapshotHeader header = TheProduced().snapshot->header;
    switch (source.Choose(10)) {
      case 0:
        header.layout.layers = source.Take<int>();
        break;
      case 1:
        header.layout.tokens = source.Take<int>();
        break;
      case 2:
        header.layout.kv_heads = source.Take<int>();
        break;
      case 3:
        header.layout.k_head_dim = source.Take<int>();
        break;
      case 4:
        header.layout.v_head_dim = source.Take<int>();
        header.layout.kind = ContextLayout::Kind{source.Take<uint8_t>()};
        header.layout.element_type = ContextLayout::ElementType{source.Take<uint8_t>()};
        break;
      case 5:
        header.model_revision = source.Text();
        header.prompt_template = source.Text();
        break;
      case 6:
        header.frame_capture_times_us.assign(source.Take<uint8_t>(), source.Take<int64_t>());
        header.capture_time_us = source.Take<int64_t>();
        break;
      case 7:
        header.position_start = source.Take<int64_t>();
        break;
      case 8:
        header.prompt.speed_mps = source.Take<double>();
        header.history_spacing_s = source.Take<double>();
        break;
      default:
        header.id = {source.Take<uint8_t>(), source.Take<uint8_t>(), source.Take<uint8_t>(),
                     source.Take<uint64_t>()};
    }
    return header;
  }

  void Begin(const SnapshotHeader& header, ByteSource& source) {
    // Half of the receivers expect this very snapshot, half take what comes, within their memory.
    SnapshotExpectation expected = SmallExpectation();
    if (source.Choose(2) == 0) expected = {.session = 9, .episode = 2, .epoch = 40};
    const absl::Status status = assembler_.Begin(header, expected);
    Check(status.ok() == assembler_.in_progress(), "a good header begins a snapshot");
    next_ = 0;
    // A change may leave the header as it was: the digest tells.
    genuine_ = status.ok() && ManifestHasher(header).Finish({}) ==
                                  ManifestHasher(TheProduced().snapshot->header).Finish({});
  }

  void AddNext(ByteSource& source) {
    const auto& chunks = TheProduced().manifest.chunks;
    if (next_ >= chunks.size()) return;
    const auto bytes = BytesOf(chunks[next_]);
    const size_t cut = std::min<size_t>(source.Take<uint16_t>(), bytes.size());
    const std::span<const std::byte> pieces[] = {bytes.first(cut), bytes.subspan(cut)};
    const bool accepted = assembler_.Add(chunks[next_], pieces).ok();
    if (genuine_) Check(accepted, "the producer's chunk is taken");
    if (accepted)
      ++next_;
    else
      genuine_ = false;
  }

  void AddChanged(ByteSource& source) {
    const auto& chunks = TheProduced().manifest.chunks;
    ChunkSpec chunk = chunks[source.Choose(static_cast<unsigned>(chunks.size()))];
    auto bytes = BytesOf(chunk);
    switch (source.Choose(6)) {
      case 0:
        chunk.layer = source.Take<uint32_t>();
        break;
      case 1:
        chunk.tensor = TensorKind{source.Take<uint8_t>()};
        break;
      case 2:
        chunk.offset_bytes = source.Take<uint64_t>();
        break;
      case 3:
        chunk.bytes = source.Take<uint64_t>();
        break;
      case 4:
        bytes = bytes.first(std::min<size_t>(source.Take<uint16_t>(), bytes.size()));
        break;
      default:
        chunk.hash ^= source.Take<uint64_t>();
    }
    // What agrees with its own hash passes for the chunk of its place; the digest tells at the end.
    const bool right =
        genuine_ && next_ < chunks.size() && chunk == chunks[next_] && bytes.size() == chunk.bytes;
    const bool accepted = assembler_.Add(chunk, bytes).ok();
    if (right) Check(accepted, "the producer's chunk is taken");
    next_ += accepted ? 1 : 0;
    genuine_ = right;
  }

  void Finish(ByteSource& source) {
    const Produced& produced = TheProduced();
    SnapshotTrailer trailer = produced.manifest.trailer;
    if (source.Choose(4) == 0) trailer.digest.low ^= source.Take<uint64_t>();
    if (source.Choose(4) == 0) trailer.decision->slot_count = source.Take<uint8_t>();
    if (source.Choose(4) == 0) trailer.decision.reset();
    const bool same = trailer.digest == produced.manifest.trailer.digest &&
                      DigestWith(trailer.decision) == produced.manifest.trailer.digest;
    const bool whole = genuine_ && next_ == produced.manifest.chunks.size();
    const auto snapshot = assembler_.Finish(trailer);
    Check(!assembler_.in_progress(), "a trailer ends the snapshot");
    if (whole && same) Check(snapshot.ok(), "the producer's snapshot is taken");
    genuine_ = false;
    if (!snapshot.ok()) return;
    Check(whole && same, "nothing but the producer's snapshot is taken");
    Check(std::ranges::equal((*snapshot)->kv.bytes().first(64),
                             produced.snapshot->kv.bytes().first(64)),
          "the bytes are the producer's");
  }

  KvBufferPool pool_{{.byte_budget = size_t{4} << 20, .prefault = false}};
  SnapshotAssembler assembler_{&pool_};
  size_t next_ = 0;       // chunks accepted
  bool genuine_ = false;  // header and chunks so far are the producer's
};

}  // namespace
}  // namespace automot::context

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  automot::fuzz::ByteSource source(data, size);
  automot::context::Receiver receiver;
  for (int step = 0; step < 64 && !source.empty(); ++step) {
    receiver.Step(source);
    receiver.CheckBuffers();
  }
  return 0;
}
