#include "common/checkpoint/safetensors.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_join.h"
#include "common/checkpoint/safetensors_header.h"
#include "common/checkpoint/text.h"
#include "common/status/status_macros.h"

namespace automot::model {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors are little-endian");

struct DTypeInfo {
  DType dtype;
  std::string_view name;
  size_t size;
};
constexpr std::array<DTypeInfo, 10> kDTypes = {{{DType::kF32, "F32", 4},
                                                {DType::kF16, "F16", 2},
                                                {DType::kBF16, "BF16", 2},
                                                {DType::kF64, "F64", 8},
                                                {DType::kI64, "I64", 8},
                                                {DType::kI32, "I32", 4},
                                                {DType::kI16, "I16", 2},
                                                {DType::kI8, "I8", 1},
                                                {DType::kU8, "U8", 1},
                                                {DType::kBool, "BOOL", 1}}};

const DTypeInfo& Info(DType dtype) { return kDTypes[static_cast<size_t>(dtype)]; }

absl::Status InFile(const std::string& path, const absl::Status& status) {
  return absl::Status(status.code(), Concat(path, ": ", status.message()));
}

}  // namespace

size_t DTypeSize(DType dtype) { return Info(dtype).size; }
std::string_view DTypeName(DType dtype) { return Info(dtype).name; }

absl::StatusOr<DType> ParseDType(std::string_view name) {
  for (const DTypeInfo& info : kDTypes) {
    if (info.name == name) return info.dtype;
  }
  return absl::InvalidArgumentError(Concat("unknown dtype \"", name.substr(0, 40), "\""));
}

bool IsFloatingPoint(DType dtype) {
  return dtype == DType::kF32 || dtype == DType::kF16 || dtype == DType::kBF16 ||
         dtype == DType::kF64;
}

std::string ShapeText(absl::Span<const int64_t> shape) {
  return Concat("[", absl::StrJoin(shape, ", "), "]");
}

absl::StatusOr<std::unique_ptr<SafetensorsFile>> SafetensorsFile::Open(const std::string& path) {
  std::unique_ptr<SafetensorsFile> file(new SafetensorsFile());
  file->path_ = path;
  AUTOMOT_RETURN_IF_ERROR(file->Map());
  if (absl::Status status = file->Parse(); !status.ok()) return InFile(path, status);
  return file;
}

SafetensorsFile::~SafetensorsFile() {
  if (!mapping_.empty()) munmap(const_cast<std::byte*>(mapping_.data()), mapping_.size());
}

absl::Status SafetensorsFile::Map() {
  // Not waiting for whoever writes a pipe: that is not a regular file.
  const int fd = open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return absl::ErrnoToStatus(errno, Concat(path_, ": cannot open"));
  struct stat info{};
  const bool regular = fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
  const size_t size = regular ? static_cast<size_t>(info.st_size) : 0;
  void* address = size >= 8 ? mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
  const int error = errno;
  close(fd);
  if (!regular) return absl::InvalidArgumentError(Concat(path_, ": not a regular file"));
  if (size < 8) {
    return absl::InvalidArgumentError(
        Concat(path_, ": ", size, " bytes, fewer than the 8 of the header length"));
  }
  if (address == MAP_FAILED) return absl::ErrnoToStatus(error, Concat(path_, ": cannot map"));
  mapping_ = {static_cast<const std::byte*>(address), size};
  return absl::OkStatus();
}

absl::Status SafetensorsFile::Parse() {
  uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, mapping_.data(), sizeof(header_bytes));
  const uint64_t available = mapping_.size() - sizeof(header_bytes);
  if (header_bytes > kMaxHeaderBytes || header_bytes > available) {
    return absl::InvalidArgumentError(Concat("safetensors header: length ", header_bytes,
                                             " exceeds the limit of ",
                                             std::min(kMaxHeaderBytes, available)));
  }
  const auto data = mapping_.subspan(sizeof(header_bytes) + header_bytes);
  const std::string_view json(reinterpret_cast<const char*>(mapping_.data()) + sizeof(header_bytes),
                              header_bytes);
  AUTOMOT_ASSIGN_OR_RETURN(SafetensorsHeader header, ParseSafetensorsHeader(json, data.size()));
  metadata_ = std::move(header.metadata);
  tensors_.reserve(header.entries.size());
  for (HeaderEntry& entry : header.entries) {
    tensors_.push_back({.name = std::move(entry.name),
                        .dtype = entry.dtype,
                        .shape = std::move(entry.shape),
                        .bytes = data.subspan(entry.begin, entry.end - entry.begin)});
  }
  for (size_t i = 0; i < tensors_.size(); ++i) by_name_.emplace(tensors_[i].name, i);
  return absl::OkStatus();
}

bool SafetensorsFile::Holds(absl::Span<const std::byte> bytes) const {
  return bytes.data() >= mapping_.data() &&
         bytes.data() + bytes.size() <= mapping_.data() + mapping_.size();
}

void SafetensorsFile::Stream(
    absl::Span<const std::byte> bytes,
    absl::FunctionRef<void(absl::Span<const std::byte> piece)> sink) const {
  const auto advise = [](absl::Span<const std::byte> range, int advice) {
    // Whole pages. A neighbour's page that goes with them is read again on its next use; the
    // mapping is never written, so nothing is lost.
    const uintptr_t page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
    const uintptr_t begin = reinterpret_cast<uintptr_t>(range.data()) / page * page;
    const uintptr_t end = reinterpret_cast<uintptr_t>(range.data()) + range.size();
    if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, advice);
  };
  for (size_t at = 0; at < bytes.size(); at += kPieceBytes) {
    const auto piece = bytes.subspan(at, kPieceBytes);
    advise(bytes.subspan(at + piece.size(), kPieceBytes), MADV_WILLNEED);
    sink(piece);
    advise(piece, MADV_DONTNEED);
  }
}

const TensorView* SafetensorsFile::Find(std::string_view name) const {
  const auto it = by_name_.find(name);
  return it == by_name_.end() ? nullptr : &tensors_[it->second];
}

}  // namespace automot::model
