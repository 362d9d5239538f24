// The safetensors container: an 8-byte little-endian header length, a JSON header, then raw tensor
// bytes.
//
// Reading is fail-closed. A file is refused when its header is longer than 100 MB, nests deeper
// than the format needs, repeats a name, names an unknown dtype, or when the byte ranges overlap,
// leave gaps, leave the file, or do not match shape times element size.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace automot::model {

enum class DType { kF32, kF16, kBF16, kF64, kI64, kI32, kI16, kI8, kU8, kBool };

// Bytes of one element.
size_t DTypeSize(DType dtype);
// The name in a file header, such as "BF16".
std::string_view DTypeName(DType dtype);
// INVALID_ARGUMENT for a name outside the enumeration.
absl::StatusOr<DType> ParseDType(std::string_view name);
// F32, F16, BF16 or F64.
bool IsFloatingPoint(DType dtype);

// "[2, 3]"; "[]" for a scalar.
std::string ShapeText(absl::Span<const int64_t> shape);

// One tensor of a file. bytes: row-major, contiguous, little-endian, CPU, read-only, valid while
// the owner lives. The start of `bytes` is aligned to the element size only if the writer of the
// file saw to it.
struct TensorView {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;
  absl::Span<const std::byte> bytes;
};

// Tensor name -> content hash (content_hash.h) of its bytes.
using TensorHashes = std::map<std::string, std::string, std::less<>>;

// A memory-mapped, read-only safetensors file. Immutable, so any number of threads may read it.
class SafetensorsFile {
 public:
  // NOT_FOUND or PERMISSION_DENIED for the file itself, INVALID_ARGUMENT (naming the tensor, the
  // value and the limit) for its content. Tensor data is mapped, not read: pages load on first
  // touch.
  static absl::StatusOr<std::unique_ptr<SafetensorsFile>> Open(const std::string& path);
  ~SafetensorsFile();
  SafetensorsFile(const SafetensorsFile&) = delete;
  SafetensorsFile& operator=(const SafetensorsFile&) = delete;

  // Null when there is no tensor of that name.
  const TensorView* Find(std::string_view name) const;
  // Whether `bytes` lie in this file's mapping.
  bool Holds(absl::Span<const std::byte> bytes) const;
  // Hands `bytes` of this file to `sink` front to back, in pieces of kPieceBytes (the last may be
  // shorter; a piece is valid during its call), reading one ahead and giving each back behind it:
  // a walk over 13 GB holds a few pieces in memory, not the file. The bytes stay readable.
  void Stream(absl::Span<const std::byte> bytes,
              absl::FunctionRef<void(absl::Span<const std::byte> piece)> sink) const;
  static constexpr size_t kPieceBytes = size_t{8} << 20;
  // In order of their bytes in the file.
  const std::vector<TensorView>& tensors() const { return tensors_; }
  // The "__metadata__" strings.
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  const std::string& path() const { return path_; }

 private:
  SafetensorsFile() = default;
  absl::Status Map();
  absl::Status Parse();

  std::string path_;
  absl::Span<const std::byte> mapping_;
  std::vector<TensorView> tensors_;
  std::map<std::string, std::string> metadata_;
  std::unordered_map<std::string_view, size_t> by_name_;
};

// Collects tensors and writes them as one file. Not thread-safe. Tensor bytes are borrowed: they
// must stay valid until Write returns. The data section starts at a multiple of 8 and tensors are
// placed by falling element size, so every tensor is aligned to its element size.
class SafetensorsWriter {
 public:
  // INVALID_ARGUMENT for a repeated name, a negative dimension, or a byte count that differs from
  // shape x dtype.
  absl::Status Add(std::string name, DType dtype, std::vector<int64_t> shape,
                   absl::Span<const std::byte> bytes);
  // Typed form: element size must equal the dtype's.
  template <typename T>
  absl::Status AddValues(std::string name, DType dtype, std::vector<int64_t> shape,
                         absl::Span<const T> values) {
    return Add(std::move(name), dtype, std::move(shape),
               {reinterpret_cast<const std::byte*>(values.data()), values.size() * sizeof(T)});
  }
  // As Add, but the bytes come during Write: `make_fill` is called once when the tensor's turn
  // comes, and what it returns fills zeroed pieces of at most kPieceBytes (a multiple of 8), front
  // to back. One piece is in memory at a time.
  using Fill = std::function<void(absl::Span<std::byte> piece)>;
  using MakeFill = std::function<Fill()>;
  static constexpr size_t kPieceBytes = size_t{4} << 20;
  absl::Status AddDeferred(std::string name, DType dtype, std::vector<int64_t> shape,
                           MakeFill make_fill);
  void SetMetadata(std::string key, std::string value) {
    metadata_[std::move(key)] = std::move(value);
  }
  // Writes a temporary file beside `path`, flushes it and renames it: `path` is either the old file
  // or the whole new one. `hashes`, where given, receives the content hash of each tensor by name.
  absl::Status Write(const std::string& path, TensorHashes* hashes = nullptr) const;

 private:
  struct Entry {
    std::string name;
    DType dtype;
    std::vector<int64_t> shape;
    uint64_t size;
    absl::Span<const std::byte> bytes;  // empty where `make_fill` is set
    MakeFill make_fill;
  };
  absl::Status AddEntry(Entry entry);
  std::string Header(const std::vector<const Entry*>& order) const;
  absl::Status WriteContent(int fd, const std::vector<const Entry*>& order,
                            TensorHashes* hashes) const;

  std::map<std::string, Entry> tensors_;
  std::map<std::string, std::string> metadata_;
};

}  // namespace automot::model
