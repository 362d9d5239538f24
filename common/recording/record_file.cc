#include "common/recording/record_file.h"

#include <sys/stat.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/context/chunk_hash.h"
#include "common/status/status_macros.h"

namespace automot::recording {
namespace {

constexpr std::string_view kMagic = "AMTREC01";
static_assert(kMagic.size() == kFileMagicBytes);
static_assert(std::endian::native == std::endian::little, "records are written as they lie");

struct RecordHead {
  uint32_t bytes = 0;
  uint32_t complement = 0;
  uint64_t hash = 0;
};
static_assert(sizeof(RecordHead) == kRecordHeadBytes);

uint64_t HashOf(std::string_view record) {
  return context::HashChunk(std::as_bytes(std::span(record.data(), record.size())));
}

absl::Status SystemError(const char* what, const std::string& path) {
  return absl::ErrnoToStatus(errno, absl::StrCat("cannot ", what, " '", path, "'"));
}

}  // namespace

absl::StatusOr<RecordFileWriter> RecordFileWriter::Create(const std::string& path) {
  FilePtr file(std::fopen(path.c_str(), "wbx"));
  if (file == nullptr) return SystemError("create", path);
  RecordFileWriter writer(path, std::move(file));
  AUTOMOT_RETURN_IF_ERROR(writer.Write(kMagic));
  return writer;
}

absl::Status RecordFileWriter::Write(std::string_view bytes) {
  if (std::fwrite(bytes.data(), 1, bytes.size(), file_.get()) != bytes.size()) {
    return SystemError("write", path_);
  }
  bytes_ += bytes.size();
  return absl::OkStatus();
}

absl::Status RecordFileWriter::Append(std::string_view record) {
  if (record.size() > kMaxRecordBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("a record has ", record.size(), " bytes; the limit is ", kMaxRecordBytes));
  }
  RecordHead head;
  head.bytes = static_cast<uint32_t>(record.size());
  head.complement = ~head.bytes;
  head.hash = HashOf(record);
  char bytes[sizeof(head)];
  std::memcpy(bytes, &head, sizeof(head));
  AUTOMOT_RETURN_IF_ERROR(Write({bytes, sizeof(bytes)}));
  return Write(record);
}

absl::Status RecordFileWriter::Flush() {
  if (std::fflush(file_.get()) != 0) return SystemError("write", path_);
  return absl::OkStatus();
}

absl::StatusOr<RecordFileReader> RecordFileReader::Open(const std::string& path) {
  FilePtr file(std::fopen(path.c_str(), "rb"));
  if (file == nullptr) return SystemError("read", path);
  struct stat about = {};
  if (fstat(fileno(file.get()), &about) != 0) return SystemError("read", path);
  char magic[kFileMagicBytes];
  if (!S_ISREG(about.st_mode) || std::fread(magic, 1, sizeof(magic), file.get()) != sizeof(magic) ||
      std::string_view(magic, sizeof(magic)) != kMagic) {
    return absl::DataLossError(
        absl::StrCat("'", path, "' is no recording: it does not begin with ", kMagic.data()));
  }
  RecordFileReader reader(path, std::move(file), static_cast<uint64_t>(about.st_size));
  reader.offset_ = kFileMagicBytes;
  return reader;
}

RecordFileReader::Outcome RecordFileReader::Next(std::string* record) {
  const uint64_t left = size_ - std::min(size_, offset_);
  if (left == 0) return Outcome::kEnd;
  if (left < kRecordHeadBytes) return Outcome::kCut;
  char bytes[sizeof(RecordHead)];
  if (std::fread(bytes, 1, sizeof(bytes), file_.get()) != sizeof(bytes)) return Outcome::kCut;
  RecordHead head;
  std::memcpy(&head, bytes, sizeof(head));
  if (head.complement != ~head.bytes || head.bytes > kMaxRecordBytes) return Outcome::kDamaged;
  if (head.bytes > left - kRecordHeadBytes) return Outcome::kCut;
  record->resize(head.bytes);
  if (std::fread(record->data(), 1, record->size(), file_.get()) != record->size()) {
    return Outcome::kCut;
  }
  if (HashOf(*record) != head.hash) return Outcome::kDamaged;
  offset_ += StoredBytes(head.bytes);
  return Outcome::kRecord;
}

absl::Status RecordFileReader::Seek(uint64_t offset) {
  if (std::fseek(file_.get(), static_cast<long>(offset), SEEK_SET) != 0) {
    return SystemError("read", path_);
  }
  offset_ = offset;
  return absl::OkStatus();
}

}  // namespace automot::recording
