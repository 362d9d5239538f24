// Chunks that refer to the snapshot before: which bytes may be referred to, that the result is byte
// for byte what sending them gives, and that no wrong reference is ever published.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <tuple>
#include <vector>

#include "common/context/chunk_reuse.h"
#include "common/context/quantisation.h"
#include "common/context/snapshot_assembler.h"
#include "tests/unit/common/context/snapshot_fixture.h"

namespace automot::context {
namespace {

using Element = ContextLayout::ElementType;

// As SmallSnapshot of `version`, the rows from `first_changed` on drawn anew.
std::shared_ptr<ContextSnapshot> Successor(const ContextSnapshot& base, uint64_t version,
                                           int first_changed, int tokens = kSmallLayout.tokens) {
  auto next = std::make_shared<ContextSnapshot>();
  next->header = base.header;
  next->header.id.version = version;
  next->header.layout.tokens = tokens;
  next->kv = KvBuffer::Allocate(next->header.layout).value();
  std::mt19937_64 random(version);
  for (int layer = 0; layer < kSmallLayout.layers; ++layer) {
    for (const TensorKind tensor : {TensorKind::kKey, TensorKind::kValue}) {
      const std::size_t same = first_changed * kSmallLayout.row_bytes(tensor);
      const auto from = base.kv.Tensor(layer, tensor);
      const auto to = next->kv.Tensor(layer, tensor);
      std::copy_n(from.begin(), std::min({same, from.size(), to.size()}), to.begin());
      for (std::size_t i = same; i < to.size(); ++i) {
        to[i] = i < from.size() ? ~from[i] : std::byte(random() & 0xFF);
      }
    }
  }
  return next;
}

std::size_t Rows(std::size_t rows, TensorKind tensor) {
  return rows * kSmallLayout.row_bytes(tensor);
}

TEST(ReusableBytesTest, AreTheWholeRowsBeforeTheFirstThatDiffers) {
  const SnapshotPtr base = SmallSnapshot();
  for (const TensorKind tensor : {TensorKind::kKey, TensorKind::kValue}) {
    for (const int changed : {10, 40, 95}) {
      const auto next = Successor(*base, 8, changed);
      EXPECT_EQ(ReusableBytes(base->kv, next->kv, 1, tensor), Rows(changed, tensor));
      // One byte within a row takes the whole row.
      const auto again = Successor(*base, 8, 96);
      again->kv.Tensor(1, tensor)[Rows(changed, tensor) + 17] ^= std::byte{1};
      EXPECT_EQ(ReusableBytes(base->kv, again->kv, 1, tensor), Rows(changed, tensor));
    }
    const auto same = Successor(*base, 8, 96);
    EXPECT_EQ(ReusableBytes(base->kv, same->kv, 2, tensor), kSmallLayout.tensor_bytes(tensor));
    const auto early = Successor(*base, 8, 3);
    EXPECT_EQ(ReusableBytes(base->kv, early->kv, 0, tensor), 0U) << "not worth a reference";
    for (const int tokens : {90, 100}) {
      const auto other = Successor(*base, 8, 50, tokens);
      EXPECT_EQ(ReusableBytes(base->kv, other->kv, 0, tensor), Rows(50, tensor));
    }
  }
}

TEST(ReusableBytesTest, OfQuantisedTensorsLeaveScalesOutUnlessAllIsTheSame) {
  KvBuffer native = KvBuffer::Allocate(kSmallLayout).value();
  KvBuffer a = KvBuffer::Allocate(WithElementType(kSmallLayout, Element::kInt8)).value();
  KvBuffer b = KvBuffer::Allocate(a.layout()).value();
  for (KvBuffer* to : {&a, &b}) ASSERT_TRUE(QuantiseLayer(native, 0, *to).ok());
  EXPECT_EQ(ReusableBytes(a, b, 0, TensorKind::kKey), a.layout().key_bytes());
  b.Tensor(0, TensorKind::kKey)[a.layout().scales_offset(TensorKind::kKey)] ^= std::byte{1};
  EXPECT_EQ(ReusableBytes(a, b, 0, TensorKind::kKey), 96U * 2 * 128);
}

TEST(ReusableBytesTest, OnlyLayoutsWithTheSameRowsCompare) {
  ContextLayout other = kSmallLayout;
  other.tokens = 7;
  EXPECT_TRUE(SameRows(kSmallLayout, other));
  other.v_head_dim = 8;
  EXPECT_FALSE(SameRows(kSmallLayout, other));
  EXPECT_FALSE(SameRows(kSmallLayout, WithElementType(kSmallLayout, Element::kInt8)));
}

// One chunk of a stream; above 0 `reuse` names the version that it refers to.
struct Piece {
  ChunkSpec spec;
  uint64_t reuse = 0;
};

class SnapshotReuseTest : public testing::Test {
 protected:
  // The chunks of `next`, referring to `base` where they can.
  static std::vector<Piece> Pieces(const ContextSnapshot& base, const ContextSnapshot& next) {
    std::vector<Piece> pieces;
    for (int layer = 0; layer < next.kv.layout().layers; ++layer) {
      for (const TensorKind tensor : {TensorKind::kKey, TensorKind::kValue}) {
        const auto bytes = next.kv.Tensor(layer, tensor);
        std::size_t at = ReusableBytes(base.kv, next.kv, layer, tensor);
        if (at > 0) pieces.push_back({Spec(next, layer, tensor, 0, at), base.header.id.version});
        for (; at < bytes.size(); at += kDefaultChunkBytes) {
          pieces.push_back(
              {Spec(next, layer, tensor, at, std::min(kDefaultChunkBytes, bytes.size() - at))});
        }
      }
    }
    return pieces;
  }
  static ChunkSpec Spec(const ContextSnapshot& snapshot, int layer, TensorKind tensor,
                        std::size_t offset, std::size_t bytes) {
    return {
        .layer = static_cast<uint32_t>(layer),
        .tensor = tensor,
        .offset_bytes = offset,
        .bytes = bytes,
        .hash = HashChunk(std::as_const(snapshot.kv).Tensor(layer, tensor).subspan(offset, bytes))};
  }
  absl::Status Begin(const ContextSnapshot& next) {
    SnapshotExpectation expected = SmallExpectation();
    expected.layout.reset();
    return assembler_.Begin(next.header, expected);
  }
  absl::Status Add(const ContextSnapshot& next, const Piece& piece, const ContextSnapshot* base) {
    if (piece.reuse != 0) return assembler_.AddReused(piece.spec, piece.reuse, base);
    return assembler_.Add(piece.spec,
                          next.kv.Tensor(static_cast<int>(piece.spec.layer), piece.spec.tensor)
                              .subspan(piece.spec.offset_bytes, piece.spec.bytes));
  }
  static SnapshotTrailer TrailerOf(const ContextSnapshot& next, const std::vector<Piece>& pieces) {
    ManifestHasher hasher(next.header);
    for (const Piece& piece : pieces) hasher.Add(piece.spec);
    return {.digest = hasher.Finish(std::nullopt)};
  }
  static bool Same(const ContextSnapshot& a, const ContextSnapshot& b) {
    for (int layer = 0; layer < a.kv.layout().layers; ++layer) {
      for (const TensorKind tensor : {TensorKind::kKey, TensorKind::kValue}) {
        if (!std::ranges::equal(a.kv.Tensor(layer, tensor), b.kv.Tensor(layer, tensor))) {
          return false;
        }
      }
    }
    return a.kv.layout() == b.kv.layout();
  }
  // The refusal of `piece`, the first of its stream, against `base`.
  AssemblyRefusal RefusalOf(const ContextSnapshot& next, const Piece& piece,
                            const ContextSnapshot* base, absl::StatusCode code) {
    EXPECT_TRUE(Begin(next).ok());
    const absl::Status status = Add(next, piece, base);
    EXPECT_EQ(status.code(), code) << status;
    EXPECT_FALSE(assembler_.in_progress());
    return assembler_.last_refusal();
  }

  KvBufferPool pool_{{.byte_budget = std::size_t{8} << 20, .prefault = false}};
  SnapshotAssembler assembler_{&pool_};
  const SnapshotPtr base_ = SmallSnapshot();
};

TEST_F(SnapshotReuseTest, ReferencesGiveTheSameBytesAsSending) {
  for (const auto& [changed, tokens] :
       {std::tuple(0, 96), {30, 96}, {96, 96}, {50, 70}, {70, 70}, {96, 130}}) {
    const auto next = Successor(*base_, 8, changed, tokens);
    const std::vector<Piece> pieces = Pieces(*base_, *next);
    const auto references =
        std::ranges::count_if(pieces, [](const Piece& piece) { return piece.reuse != 0; });
    EXPECT_EQ(references, changed == 0 ? 0 : 6);
    ASSERT_TRUE(Begin(*next).ok());
    for (const Piece& piece : pieces) ASSERT_TRUE(Add(*next, piece, base_.get()).ok());
    const auto made = assembler_.Finish(TrailerOf(*next, pieces));
    ASSERT_TRUE(made.ok()) << made.status();
    EXPECT_TRUE(Same(**made, *next)) << changed << " " << tokens;
  }
}

TEST_F(SnapshotReuseTest, AReferenceToWhatIsNotHeldIsRefusedByType) {
  const auto next = Successor(*base_, 8, 30);
  const Piece piece = Pieces(*base_, *next).front();
  ASSERT_NE(piece.reuse, 0U);
  const auto unknown = absl::StatusCode::kFailedPrecondition;
  EXPECT_EQ(RefusalOf(*next, piece, nullptr, unknown), AssemblyRefusal::kReuseUnknown);
  EXPECT_EQ(RefusalOf(*next, {piece.spec, piece.reuse + 1}, base_.get(), unknown),
            AssemblyRefusal::kReuseUnknown);
  for (const auto edit :
       {+[](SnapshotId& id) { ++id.session; }, +[](SnapshotId& id) { ++id.epoch; },
        +[](SnapshotId& id) { --id.episode; }}) {
    const auto foreign = Successor(*base_, base_->header.id.version, 96);
    edit(foreign->header.id);
    EXPECT_EQ(RefusalOf(*next, piece, foreign.get(), unknown), AssemblyRefusal::kReuseUnknown);
  }
}

TEST_F(SnapshotReuseTest, AReferenceToAnotherPlaceOrOtherBytesIsRefusedByType) {
  const auto next = Successor(*base_, 8, 30);
  const Piece piece = Pieces(*base_, *next).front();
  const auto bad = absl::StatusCode::kInvalidArgument;
  // Other bytes than announced: as for any chunk.
  const auto changed = Successor(*base_, base_->header.id.version, 29);
  EXPECT_EQ(RefusalOf(*next, piece, changed.get(), absl::StatusCode::kDataLoss),
            AssemblyRefusal::kChunkHash);
  Piece wrong_hash = piece;
  wrong_hash.spec.hash ^= 1;
  EXPECT_EQ(RefusalOf(*next, wrong_hash, base_.get(), absl::StatusCode::kDataLoss),
            AssemblyRefusal::kChunkHash);
  // More than the held tensor has, of other rows, or beyond the beginning.
  const auto shorter = Successor(*base_, base_->header.id.version, 96, 20);
  EXPECT_EQ(RefusalOf(*next, piece, shorter.get(), bad), AssemblyRefusal::kReusePlace);
  const auto other_rows = Successor(*base_, base_->header.id.version, 96);
  other_rows->header.layout.k_head_dim = 64;
  other_rows->kv = KvBuffer::Allocate(other_rows->header.layout).value();
  EXPECT_EQ(RefusalOf(*next, piece, other_rows.get(), bad), AssemblyRefusal::kReusePlace);
  ASSERT_TRUE(Begin(*next).ok());
  ASSERT_TRUE(Add(*next, piece, base_.get()).ok());
  Piece second = piece;
  second.spec = Spec(*next, 0, TensorKind::kKey, piece.spec.bytes,
                     kSmallLayout.row_bytes(TensorKind::kKey) * 5);
  EXPECT_EQ(Add(*next, second, base_.get()).code(), bad);
  EXPECT_EQ(assembler_.last_refusal(), AssemblyRefusal::kReusePlace);
  Piece huge = piece;
  huge.spec.bytes = uint64_t{1} << 40;
  EXPECT_EQ(RefusalOf(*next, huge, base_.get(), bad), AssemblyRefusal::kChunkBounds);
}

// Whatever is done to a stream with references, the result is the original or an error.
TEST_F(SnapshotReuseTest, DamagedStreamsNeverPublishOtherBytes) {
  const auto next = Successor(*base_, 8, 30);
  const auto other = Successor(*base_, 6, 40);
  const auto same_name = Successor(*base_, base_->header.id.version, 20);  // and other bytes
  const std::vector<Piece> good = Pieces(*base_, *next);
  const SnapshotTrailer trailer = TrailerOf(*next, good);
  int refused = 0;
  for (uint64_t seed = 0; seed < 3000; ++seed) {
    std::mt19937_64 random(seed);
    std::vector<Piece> pieces = good;
    const std::size_t at = random() % pieces.size();
    Piece& piece = pieces[at];
    switch (random() % 8) {
      case 0:
        piece.spec.bytes ^= uint64_t{1} << random() % 20;
        break;
      case 1:
        piece.spec.offset_bytes ^= uint64_t{1} << random() % 20;
        break;
      case 2:
        piece.spec.hash ^= uint64_t{1} << random() % 64;
        break;
      case 3:
        piece.spec.layer ^= 1;
        break;
      case 4:
        piece.reuse ^= 1 + random() % 8;
        break;
      case 5:
        pieces.erase(pieces.begin() + static_cast<std::ptrdiff_t>(at));
        break;
      case 6:
        std::swap(piece, pieces[random() % pieces.size()]);
        break;
      default:
        piece.spec.tensor = TensorKind::kValue;
        break;
    }
    const ContextSnapshot* const bases[] = {base_.get(), other.get(), same_name.get(), nullptr};
    const ContextSnapshot* base = bases[random() % 4];
    absl::Status status = Begin(*next);
    for (const Piece& sent : pieces) {
      if (status.ok() && sent.spec.offset_bytes + sent.spec.bytes <=
                             next->kv.layout().tensor_bytes(sent.spec.tensor)) {
        status = sent.spec.layer < 3 ? Add(*next, sent, base) : absl::OkStatus();
      }
    }
    absl::StatusOr<SnapshotPtr> made = assembler_.Finish(trailer);
    if (made.ok()) {
      ASSERT_TRUE(Same(**made, *next)) << seed;
    } else {
      ++refused;
      ASSERT_NE(assembler_.last_refusal(), AssemblyRefusal::kNone) << seed;
    }
  }
  EXPECT_GT(refused, 2000);
}

}  // namespace
}  // namespace automot::context
