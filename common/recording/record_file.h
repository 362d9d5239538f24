// A file of records: an 8-byte magic, then for each record its length (uint32), a check of the
// length (uint32: its bitwise complement), the XXH3-64 of its bytes (uint64), and the bytes; all
// little-endian.
//
// A record is readable or it is not: a tail that was cut (the process was killed) and damage are
// told apart from the end, and everything before them is readable. Nothing in a file is trusted for
// a size: a length is compared with the limit and with what is left of the file.
//
// Not thread-safe.
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace automot::recording {

inline constexpr uint64_t kMaxRecordBytes = uint64_t{128} << 20;
inline constexpr uint64_t kFileMagicBytes = 8;
inline constexpr uint64_t kRecordHeadBytes = 16;

// Bytes that a record of `bytes` takes in a file.
constexpr uint64_t StoredBytes(uint64_t bytes) { return kRecordHeadBytes + bytes; }

struct FileCloser {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using FilePtr = std::unique_ptr<std::FILE, FileCloser>;

class RecordFileWriter {
 public:
  // A new file. ALREADY_EXISTS, or an error that names the file and what the system said.
  static absl::StatusOr<RecordFileWriter> Create(const std::string& path);

  // INVALID_ARGUMENT above kMaxRecordBytes; else what the system said, and the file is not to be
  // written on.
  absl::Status Append(std::string_view record);
  // Hands everything to the system.
  absl::Status Flush();
  uint64_t bytes() const { return bytes_; }

 private:
  RecordFileWriter(std::string path, FilePtr file)
      : path_(std::move(path)), file_(std::move(file)) {}
  absl::Status Write(std::string_view bytes);

  std::string path_;
  FilePtr file_;
  uint64_t bytes_ = 0;
};

class RecordFileReader {
 public:
  enum class Outcome : uint8_t {
    kRecord,
    kEnd,      // the file ends behind the record before
    kCut,      // the file ends inside a record
    kDamaged,  // a length or a hash is wrong
  };

  // NOT_FOUND, or DATA_LOSS where it is no such file.
  static absl::StatusOr<RecordFileReader> Open(const std::string& path);

  // The next record. Behind anything but kRecord there is nothing more to read.
  Outcome Next(std::string* record);
  // Where the record begins that Next reads next; behind a failure, the one that failed.
  uint64_t offset() const { return offset_; }
  // Goes to an offset that offset() gave.
  absl::Status Seek(uint64_t offset);
  const std::string& path() const { return path_; }

 private:
  RecordFileReader(std::string path, FilePtr file, uint64_t size)
      : path_(std::move(path)), file_(std::move(file)), size_(size) {}

  std::string path_;
  FilePtr file_;
  uint64_t size_ = 0;
  uint64_t offset_ = 0;
};

}  // namespace automot::recording
