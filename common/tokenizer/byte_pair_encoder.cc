#include "common/tokenizer/byte_pair_encoder.h"

#include <utf8proc.h>

#include <queue>
#include <tuple>

#include "common/checkpoint/text.h"

namespace automot::model {
namespace {

constexpr int32_t kAlphabetSize = 256 + 68;

// Printable Latin-1 bytes stand for themselves; the 68 others take the code points from 256 on, in
// order.
constexpr std::array<int32_t, 256> MakeCodePoints() {
  std::array<int32_t, 256> code_points{};
  int32_t next = 256;
  for (int32_t byte = 0; byte < 256; ++byte) {
    const bool printable =
        (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
    code_points[byte] = printable ? byte : next++;
  }
  return code_points;
}
constexpr std::array<int32_t, 256> kCodePoints = MakeCodePoints();

constexpr std::array<int, kAlphabetSize> MakeBytes() {
  std::array<int, kAlphabetSize> bytes{};
  for (int& byte : bytes) byte = -1;
  for (int byte = 0; byte < 256; ++byte) bytes[kCodePoints[byte]] = byte;
  return bytes;
}
constexpr std::array<int, kAlphabetSize> kBytes = MakeBytes();

uint64_t Key(int64_t left, int64_t right) {
  return (static_cast<uint64_t>(left) << 32) | static_cast<uint64_t>(right);
}

// Parts of a word under merging, as a doubly linked list inside a vector. id -1: absorbed by its
// left neighbour.
struct Part {
  int64_t id;
  int previous;
  int next;
};

}  // namespace

std::optional<std::string> BytesOfAlphabet(std::string_view text) {
  std::string bytes;
  const auto* cursor = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  auto left = static_cast<utf8proc_ssize_t>(text.size());
  while (left > 0) {
    utf8proc_int32_t code_point = -1;
    const utf8proc_ssize_t used = utf8proc_iterate(cursor, left, &code_point);
    if (used <= 0 || code_point >= kAlphabetSize || kBytes[code_point] < 0) return std::nullopt;
    bytes += static_cast<char>(kBytes[code_point]);
    cursor += used, left -= used;
  }
  return bytes;
}

std::string AlphabetOfBytes(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) {
    utf8proc_uint8_t encoded[4];
    const auto size = utf8proc_encode_char(kCodePoints[static_cast<uint8_t>(byte)], encoded);
    text.append(reinterpret_cast<const char*>(encoded), static_cast<size_t>(size));
  }
  return text;
}

absl::Status BytePairEncoder::AddPiece(std::string bytes, int64_t id) {
  if (id < 0 || id >= kMaxTokenId) {
    return absl::InvalidArgumentError(
        Concat("vocab: id ", id, " is outside [0, ", kMaxTokenId, ")"));
  }
  if (bytes.empty())
    return absl::InvalidArgumentError(Concat("vocab: id ", id, " has an empty piece"));
  if (id >= size()) pieces_.resize(static_cast<size_t>(id) + 1);
  if (!pieces_[id].empty())
    return absl::InvalidArgumentError(Concat("vocab: id ", id, " appears twice"));
  if (!ids_.emplace(bytes, id).second) {
    return absl::InvalidArgumentError(Concat("vocab: the piece of id ", id, " appears twice"));
  }
  pieces_[id] = std::move(bytes);
  return absl::OkStatus();
}

absl::Status BytePairEncoder::AddMerge(std::string_view left, std::string_view right) {
  const auto a = Id(left), b = Id(right), merged = Id(Concat(left, right));
  if (!a || !b || !merged) {
    return absl::InvalidArgumentError(
        Concat("merges: entry ", merges_.size(), " (\"", AlphabetOfBytes(left), "\", \"",
               AlphabetOfBytes(right), "\") names a piece that is not in vocab"));
  }
  const auto rank = static_cast<uint32_t>(merges_.size());
  if (!merges_.emplace(Key(*a, *b), Merge{rank, *merged}).second) {
    return absl::InvalidArgumentError(Concat("merges: entry ", rank, " appears twice"));
  }
  return absl::OkStatus();
}

absl::Status BytePairEncoder::Finish() {
  for (int byte = 0; byte < 256; ++byte) {
    const char text = static_cast<char>(byte);
    const auto id = Id({&text, 1});
    if (!id) return absl::InvalidArgumentError(Concat("vocab: byte ", byte, " has no token"));
    byte_ids_[byte] = *id;
  }
  return absl::OkStatus();
}

const BytePairEncoder::Merge* BytePairEncoder::FindMerge(int64_t left, int64_t right) const {
  const auto it = merges_.find(Key(left, right));
  return it == merges_.end() ? nullptr : &it->second;
}

void BytePairEncoder::EncodeWord(std::string_view word, std::vector<int64_t>& ids) const {
  if (word.empty()) return;
  const int n = static_cast<int>(word.size());
  std::vector<Part> parts(word.size());
  for (int i = 0; i < n; ++i) {
    parts[i] = {byte_ids_[static_cast<uint8_t>(word[i])], i - 1, i + 1 < n ? i + 1 : -1};
  }
  // Candidates by rank, then from left to right; one that no longer fits its parts is skipped when
  // it comes up.
  using Candidate =
      std::tuple<uint32_t, int, int64_t, int64_t>;  // rank, left part, ids of left and right
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
  const auto consider = [&](int left) {
    if (left < 0 || parts[left].next < 0) return;
    const int64_t a = parts[left].id, b = parts[parts[left].next].id;
    if (const Merge* merge = FindMerge(a, b)) queue.emplace(merge->rank, left, a, b);
  };
  for (int i = 0; i < n; ++i) consider(i);
  while (!queue.empty()) {
    const auto [rank, left, a, b] = queue.top();
    queue.pop();
    const int right = parts[left].next;
    if (parts[left].id != a || right < 0 || parts[right].id != b) continue;
    parts[left] = {FindMerge(a, b)->id, parts[left].previous, parts[right].next};
    parts[right].id = -1;
    if (parts[left].next >= 0) parts[parts[left].next].previous = left;
    consider(parts[left].previous);
    consider(left);
  }
  for (int i = 0; i >= 0; i = parts[i].next) ids.push_back(parts[i].id);
}

std::string_view BytePairEncoder::Piece(int64_t id) const {
  return id >= 0 && id < size() ? std::string_view(pieces_[id]) : std::string_view();
}

std::optional<int64_t> BytePairEncoder::Id(std::string_view bytes) const {
  const auto it = ids_.find(std::string(bytes));
  return it == ids_.end() ? std::nullopt : std::optional<int64_t>(it->second);
}

}  // namespace automot::model
