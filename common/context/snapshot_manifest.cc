#include "common/context/snapshot_manifest.h"

#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <concepts>
#include <string_view>

namespace automot::context {
namespace {

static_assert(std::endian::native == std::endian::little,
              "tensor bytes and the manifest are little-endian on the wire");

// Canonical form: fixed-width little-endian integers, lengths before text, a presence byte before
// options.
class Writer {
 public:
  explicit Writer(std::string* out) : out_(out) {}

  template <std::integral T>
  void Put(T value) {
    const auto wide = static_cast<uint64_t>(value);
    out_->append(reinterpret_cast<const char*>(&wide), sizeof(wide));
  }
  void Put(double value) { Put(std::bit_cast<uint64_t>(value)); }
  void Put(std::string_view text) {
    Put(text.size());
    out_->append(text);
  }
  void Put(Vec2 point) {
    Put(point.x);
    Put(point.y);
  }

 private:
  std::string* out_;
};

void PutLayout(const ContextLayout& layout, Writer* out) {
  out->Put(static_cast<int>(layout.kind));
  out->Put(static_cast<int>(layout.element_type));
  for (int dimension :
       {layout.layers, layout.tokens, layout.kv_heads, layout.k_head_dim, layout.v_head_dim}) {
    out->Put(dimension);
  }
}

void PutPrompt(const SnapshotPrompt& prompt, Writer* out) {
  for (const Vec2& point : prompt.target_points) out->Put(point);
  out->Put(prompt.speed_mps);
  out->Put(prompt.pose.has_value());
  if (prompt.pose) {
    out->Put(prompt.pose->position);
    out->Put(prompt.pose->yaw_rad);
  }
  out->Put(prompt.route_revision);
}

void PutHeader(const SnapshotHeader& header, std::string_view session_name, Writer* out) {
  out->Put(std::string_view("automot.snapshot.v1"));
  if (session_name.empty()) {
    out->Put(header.id.session);
  } else {
    out->Put(session_name);
  }
  out->Put(header.id.episode);
  out->Put(header.id.epoch);
  out->Put(header.id.version);
  out->Put(header.capture_time_us);
  out->Put(header.frame_capture_times_us.size());
  for (SessionTimeUs time : header.frame_capture_times_us) out->Put(time);
  out->Put(header.history_spacing_error_us);
  out->Put(header.history_spacing_s);
  PutPrompt(header.prompt, out);
  out->Put(header.position_start);
  PutLayout(header.layout, out);
  out->Put(std::string_view(header.model_revision));
  out->Put(std::string_view(header.prompt_template));
  out->Put(std::string_view(header.instruction_mask));
  out->Put(header.reasons.bits());
}

void PutDecision(const Decision& decision, Writer* out) {
  out->Put(decision.slot_count);
  for (const DecisionSlot& slot : decision.slots) {
    out->Put(slot.time_us);
    out->Put(static_cast<int>(slot.longitudinal));
    out->Put(static_cast<int>(slot.lateral));
    out->Put(slot.text.view());
    out->Put(static_cast<double>(slot.probability));
  }
}

}  // namespace

std::size_t ChunkStep(std::size_t chunk_bytes) {
  return std::clamp(chunk_bytes, kMinChunkBytes, kMaxChunkBytes) / kTensorAlignment *
         kTensorAlignment;
}

std::vector<ChunkSpec> PlanChunks(const ContextLayout& layout, std::size_t chunk_bytes) {
  const std::size_t step = ChunkStep(chunk_bytes);
  std::vector<ChunkSpec> chunks;
  for (int layer = 0; layer < layout.layers; ++layer) {
    for (TensorKind tensor : {TensorKind::kKey, TensorKind::kValue}) {
      const std::size_t total = layout.tensor_bytes(tensor);
      for (std::size_t offset = 0; offset < total; offset += step) {
        chunks.push_back({.layer = static_cast<uint32_t>(layer),
                          .tensor = tensor,
                          .offset_bytes = offset,
                          .bytes = std::min(step, total - offset)});
      }
    }
  }
  return chunks;
}

ManifestHasher::ManifestHasher(const SnapshotHeader& header, std::string_view session_name) {
  Writer writer(&manifest_);
  PutHeader(header, session_name, &writer);
}

void ManifestHasher::Add(const ChunkSpec& chunk) {
  Writer writer(&manifest_);
  writer.Put(chunk.layer);
  writer.Put(static_cast<int>(chunk.tensor));
  writer.Put(chunk.offset_bytes);
  writer.Put(chunk.bytes);
  writer.Put(chunk.hash);
}

ManifestDigest ManifestHasher::Finish(const std::optional<Decision>& decision) const {
  std::string manifest = manifest_;
  Writer writer(&manifest);
  writer.Put(decision.has_value());
  if (decision) PutDecision(*decision, &writer);
  const XXH128_hash_t hash = XXH3_128bits(manifest.data(), manifest.size());
  return {hash.low64, hash.high64};
}

SnapshotManifest BuildManifest(const ContextSnapshot& snapshot, std::size_t chunk_bytes) {
  SnapshotManifest manifest;
  manifest.chunks = PlanChunks(snapshot.header.layout, chunk_bytes);
  ManifestHasher hasher(snapshot.header);
  for (ChunkSpec& chunk : manifest.chunks) {
    chunk.hash = HashChunk(snapshot.kv.Tensor(static_cast<int>(chunk.layer), chunk.tensor)
                               .subspan(chunk.offset_bytes, chunk.bytes));
    hasher.Add(chunk);
  }
  manifest.trailer = {hasher.Finish(snapshot.decision), snapshot.decision, snapshot.timings};
  return manifest;
}

}  // namespace automot::context
