// Reads the entries of a recording's files, one after the other or at a place found before.
// Not thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "automot/v1/recording.pb.h"
#include "common/recording/record_file.h"

namespace automot::tools {

// Where an entry lies.
struct EntryPlace {
  uint32_t file = 0;
  uint64_t offset = recording::kFileMagicBytes;
};

// Why there is no further entry.
struct RecordingTail {
  enum class Kind : uint8_t {
    kEnded,    // the recording was ended in order
    kOpen,     // the files end between two entries: still written, or the program was killed
    kCut,      // the last file ends inside an entry: the same
    kDamaged,  // anything else
  };
  Kind kind = Kind::kOpen;
  std::string where;  // of kCut and kDamaged: file, offset, what is wrong
};

class EntryReader {
 public:
  // Of the recording at `path`: a folder with one run, a run's folder, or one file of it.
  static absl::StatusOr<EntryReader> Open(const std::string& path);

  // The entry at `*place`, which then is the next one's. Empty behind the last one, for the reason
  // that tail() gives.
  absl::StatusOr<std::optional<v1::RecordingEntry>> Next(EntryPlace* place);

  const RecordingTail& tail() const { return tail_; }
  const std::vector<std::string>& files() const { return files_; }

 private:
  explicit EntryReader(std::vector<std::string> files)
      : files_(std::move(files)), readers_(files_.size()) {}
  absl::StatusOr<recording::RecordFileReader*> ReaderAt(const EntryPlace& place);
  std::optional<v1::RecordingEntry> EndAt(const EntryPlace& place, RecordingTail::Kind kind,
                                          const char* what);

  std::vector<std::string> files_;
  std::vector<std::optional<recording::RecordFileReader>> readers_;
  RecordingTail tail_;
  std::string record_;
};

}  // namespace automot::tools
