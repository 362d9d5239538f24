#include "common/context/snapshot_assembler.h"

#include <optional>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/context/chunk_hash.h"
#include "common/context/chunk_reuse.h"
#include "common/status/status_macros.h"

namespace automot::context {
namespace {

std::string Describe(const ChunkSpec& chunk) {
  return absl::StrCat("chunk {layer ", chunk.layer, ", ",
                      chunk.tensor == TensorKind::kKey ? "K" : "V", ", offset ", chunk.offset_bytes,
                      ", ", chunk.bytes, " bytes}");
}

}  // namespace

struct SnapshotAssembler::Progress {
  Progress(const SnapshotHeader& header, const std::string& session_name)
      : hasher(header, session_name) {
    snapshot.header = header;
  }

  const ContextLayout& layout() const { return snapshot.header.layout; }
  bool complete() const { return next_layer == static_cast<uint32_t>(layout().layers); }
  // Moves the place behind a chunk that fits it.
  void Advance(uint64_t bytes) {
    next_offset += bytes;
    if (next_offset < layout().tensor_bytes(next_tensor)) return;
    next_offset = 0;
    if (next_tensor == TensorKind::kValue) ++next_layer;
    next_tensor = next_tensor == TensorKind::kKey ? TensorKind::kValue : TensorKind::kKey;
  }

  ContextSnapshot snapshot;
  bool mapped = false;             // chunks lie in place: the snapshot's buffer may be read-only
  std::optional<KvBuffer> source;  // to copy from, where the mapping cannot be kept
  ManifestHasher hasher;
  // The place reached: where the next chunk must begin.
  uint32_t next_layer = 0;
  TensorKind next_tensor = TensorKind::kKey;
  uint64_t next_offset = 0;
};

SnapshotAssembler::SnapshotAssembler(KvBufferPool* pool) : pool_(pool) {}
SnapshotAssembler::~SnapshotAssembler() = default;

absl::Status SnapshotAssembler::Refuse(AssemblyRefusal refusal, absl::Status status) {
  progress_.reset();
  last_refusal_ = refusal;
  return status;
}

void SnapshotAssembler::Abort() {
  progress_.reset();
  last_refusal_ = AssemblyRefusal::kNone;
}

absl::Status SnapshotAssembler::Begin(const SnapshotHeader& header,
                                      const SnapshotExpectation& expected) {
  const bool replaced = std::exchange(progress_, nullptr) != nullptr;
  HeaderVerdict verdict = CheckHeader(header, expected);
  last_header_refusal_ = verdict.refusal;
  if (!verdict.status.ok()) return Refuse(AssemblyRefusal::kHeader, std::move(verdict.status));
  return Start(header, expected, pool_->Acquire(header.layout), replaced);
}

absl::Status SnapshotAssembler::BeginMapped(const SnapshotHeader& header,
                                            const SnapshotExpectation& expected, KvBuffer mapped,
                                            bool keep) {
  const bool replaced = std::exchange(progress_, nullptr) != nullptr;
  HeaderVerdict verdict = CheckHeader(header, expected);
  last_header_refusal_ = verdict.refusal;
  if (!verdict.status.ok()) return Refuse(AssemblyRefusal::kHeader, std::move(verdict.status));
  if (mapped.empty() || mapped.layout() != header.layout) {
    return Refuse(AssemblyRefusal::kNoBuffer,
                  absl::InvalidArgumentError(
                      absl::StrCat("the mapped buffer has layout (", mapped.layout().ToString(),
                                   "), the header (", header.layout.ToString(), ")")));
  }
  absl::StatusOr<KvBuffer> pooled;
  if (!keep) pooled = pool_->Acquire(header.layout);
  AUTOMOT_RETURN_IF_ERROR(
      Start(header, expected, keep ? std::move(mapped) : std::move(pooled), replaced));
  progress_->mapped = true;
  if (!keep) progress_->source = std::move(mapped);
  return absl::OkStatus();
}

absl::Status SnapshotAssembler::Start(const SnapshotHeader& header,
                                      const SnapshotExpectation& expected,
                                      absl::StatusOr<KvBuffer> buffer, bool replaced) {
  if (!buffer.ok()) return Refuse(AssemblyRefusal::kNoBuffer, buffer.status());
  progress_ = std::make_unique<Progress>(header, expected.session_name);
  progress_->snapshot.kv = *std::move(buffer);
  last_refusal_ = replaced ? AssemblyRefusal::kReplaced : AssemblyRefusal::kNone;
  return absl::OkStatus();
}

// Whether the chunk lies in its tensor and begins where the last one ended.
absl::Status SnapshotAssembler::CheckPlace(const ChunkSpec& chunk, bool reused) {
  const Progress& at = *progress_;
  const ContextLayout& layout = at.layout();
  if (chunk.layer >= static_cast<uint32_t>(layout.layers) || chunk.tensor > TensorKind::kValue) {
    return Refuse(AssemblyRefusal::kChunkBounds,
                  absl::InvalidArgumentError(absl::StrCat(Describe(chunk), ": the snapshot has ",
                                                          layout.layers, " layers of K and V")));
  }
  const uint64_t limit = layout.tensor_bytes(chunk.tensor);
  const bool inside = chunk.offset_bytes <= limit && chunk.bytes <= limit - chunk.offset_bytes;
  const bool last = inside && chunk.offset_bytes + chunk.bytes == limit;
  if (!inside || chunk.bytes == 0 || chunk.bytes > kMaxChunkBytes ||
      (chunk.bytes < kMinChunkBytes && !last && !reused)) {
    return Refuse(AssemblyRefusal::kChunkBounds,
                  absl::InvalidArgumentError(absl::StrCat(
                      Describe(chunk), ": the tensor has ", limit, " bytes, a chunk between ",
                      kMinChunkBytes, " (unless it is the last) and ", kMaxChunkBytes)));
  }
  const auto place = std::tuple(chunk.layer, chunk.tensor, chunk.offset_bytes);
  const auto next = std::tuple(at.next_layer, at.next_tensor, at.next_offset);
  if (place == next) return absl::OkStatus();
  return Refuse(
      place < next ? AssemblyRefusal::kDuplicateChunk : AssemblyRefusal::kMissingChunk,
      absl::DataLossError(absl::StrCat(Describe(chunk), " is out of order: layer ", at.next_layer,
                                       ", ", at.next_tensor == TensorKind::kKey ? "K" : "V",
                                       ", offset ", at.next_offset, " is due")));
}

absl::Status SnapshotAssembler::CheckChunk(const ChunkSpec& chunk, bool mapped, bool reused) {
  last_refusal_ = AssemblyRefusal::kNone;
  if (progress_ == nullptr || progress_->mapped != mapped) {
    return Refuse(AssemblyRefusal::kUnexpected,
                  absl::FailedPreconditionError(
                      absl::StrCat(Describe(chunk), mapped ? " in shared memory" : " by value",
                                   " without a header that says so")));
  }
  return CheckPlace(chunk, reused);
}

// Whether `base` is the snapshot that the producer means, and has the bytes.
absl::Status SnapshotAssembler::CheckBase(const ChunkSpec& chunk, uint64_t version,
                                          const ContextSnapshot* base) {
  const SnapshotId& id = progress_->snapshot.header.id;
  const SnapshotId wanted{
      .session = id.session, .episode = id.episode, .epoch = id.epoch, .version = version};
  if (base == nullptr || base->header.id != wanted) {
    return Refuse(AssemblyRefusal::kReuseUnknown,
                  absl::FailedPreconditionError(
                      absl::StrCat(Describe(chunk), " refers to version ", version, "; version ",
                                   base == nullptr ? 0 : base->header.id.version, " of epoch ",
                                   base == nullptr ? 0 : base->header.id.epoch, " is held")));
  }
  const ContextLayout& layout = base->kv.layout();
  if (chunk.offset_bytes == 0 && SameRows(layout, progress_->layout()) &&
      chunk.bytes <= layout.tensor_bytes(chunk.tensor)) {
    return absl::OkStatus();
  }
  return Refuse(AssemblyRefusal::kReusePlace,
                absl::InvalidArgumentError(absl::StrCat(
                    Describe(chunk), " refers to version ", version, ", whose layout is (",
                    layout.ToString(), "); only the beginning of a tensor may be referred to")));
}

absl::Status SnapshotAssembler::Add(const ChunkSpec& chunk,
                                    std::span<const std::span<const std::byte>> pieces) {
  AUTOMOT_RETURN_IF_ERROR(CheckChunk(chunk, false));
  uint64_t received = 0;
  for (std::span<const std::byte> piece : pieces) received += piece.size();
  if (received != chunk.bytes) {
    return Refuse(
        AssemblyRefusal::kChunkBounds,
        absl::DataLossError(absl::StrCat(Describe(chunk), " came with ", received, " bytes")));
  }
  std::byte* const to =
      progress_->snapshot.kv.Tensor(static_cast<int>(chunk.layer), chunk.tensor).data() +
      chunk.offset_bytes;
  return Accept(chunk, CopyAndHashChunk(pieces, to));
}

absl::Status SnapshotAssembler::AddReused(const ChunkSpec& chunk, uint64_t version,
                                          const ContextSnapshot* base) {
  AUTOMOT_RETURN_IF_ERROR(CheckChunk(chunk, false, true));
  AUTOMOT_RETURN_IF_ERROR(CheckBase(chunk, version, base));
  const std::span<const std::byte> bytes =
      base->kv.Tensor(static_cast<int>(chunk.layer), chunk.tensor).first(chunk.bytes);
  std::byte* const to =
      progress_->snapshot.kv.Tensor(static_cast<int>(chunk.layer), chunk.tensor).data();
  return Accept(chunk, CopyAndHashChunk(std::span(&bytes, 1), to));
}

absl::Status SnapshotAssembler::AddMapped(const ChunkSpec& chunk) {
  AUTOMOT_RETURN_IF_ERROR(CheckChunk(chunk, true));
  const KvBuffer& source = progress_->source ? *progress_->source : progress_->snapshot.kv;
  const std::span<const std::byte> bytes =
      source.Tensor(static_cast<int>(chunk.layer), chunk.tensor)
          .subspan(chunk.offset_bytes, chunk.bytes);
  if (!progress_->source) return Accept(chunk, HashChunk(bytes));
  std::byte* const to =
      progress_->snapshot.kv.Tensor(static_cast<int>(chunk.layer), chunk.tensor).data() +
      chunk.offset_bytes;
  return Accept(chunk, CopyAndHashChunk(std::span(&bytes, 1), to));
}

absl::Status SnapshotAssembler::Accept(const ChunkSpec& chunk, uint64_t hash) {
  if (hash != chunk.hash) {
    return Refuse(AssemblyRefusal::kChunkHash,
                  absl::DataLossError(absl::StrCat(Describe(chunk), " has hash ", absl::Hex(hash),
                                                   ", announced ", absl::Hex(chunk.hash))));
  }
  progress_->hasher.Add(chunk);
  progress_->Advance(chunk.bytes);
  return absl::OkStatus();
}

absl::StatusOr<SnapshotPtr> SnapshotAssembler::Finish(const SnapshotTrailer& trailer) {
  last_refusal_ = AssemblyRefusal::kNone;
  if (progress_ == nullptr) {
    return Refuse(AssemblyRefusal::kUnexpected,
                  absl::FailedPreconditionError("trailer without a header"));
  }
  if (!progress_->complete()) {
    return Refuse(AssemblyRefusal::kIncomplete,
                  absl::DataLossError(absl::StrCat("trailer at layer ", progress_->next_layer,
                                                   " of ", progress_->layout().layers)));
  }
  if (trailer.decision) {
    if (absl::Status s = CheckDecision(*trailer.decision); !s.ok()) {
      return Refuse(AssemblyRefusal::kDecision, std::move(s));
    }
  }
  if (progress_->hasher.Finish(trailer.decision) != trailer.digest) {
    return Refuse(AssemblyRefusal::kDigest,
                  absl::DataLossError(absl::StrCat("the manifest digest of snapshot version ",
                                                   progress_->snapshot.header.id.version,
                                                   " differs from the announced one")));
  }
  progress_->snapshot.decision = trailer.decision;
  progress_->snapshot.timings = trailer.timings;
  auto snapshot = std::make_shared<const ContextSnapshot>(std::move(progress_->snapshot));
  progress_.reset();
  return snapshot;
}

const char* ToString(AssemblyRefusal refusal) {
  static constexpr const char* kNames[] = {
      "none",         "header",          "no_buffer",     "replaced",   "unexpected",
      "chunk_bounds", "duplicate_chunk", "missing_chunk", "chunk_hash", "incomplete",
      "decision",     "digest",          "reuse_unknown", "reuse_place"};
  const auto index = static_cast<std::size_t>(refusal);
  return index < std::size(kNames) ? kNames[index] : "unknown";
}

const char* ToString(HeaderRefusal refusal) {
  static constexpr const char* kNames[] = {"none",          "malformed",   "wrong_session",
                                           "wrong_episode", "wrong_epoch", "wrong_revision",
                                           "wrong_shape"};
  const auto index = static_cast<std::size_t>(refusal);
  return index < std::size(kNames) ? kNames[index] : "unknown";
}

}  // namespace automot::context
