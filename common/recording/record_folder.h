// A recording on disk: DIR/run-0001/0001.rec, 0002.rec, ...: a run folder for each start, in it
// files that rotate by size. All runs of a program's life in one folder stand beside each other.
//
// Not thread-safe: a writer belongs to one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/recording/record_file.h"

namespace automot::recording {

class RecordFolderWriter {
 public:
  struct Options {
    uint64_t file_bytes = uint64_t{256} << 20;  // a file that has reached this is not written on
    uint64_t total_bytes = uint64_t{16} << 30;  // of the run; what does not fit is refused
  };
  // The record that begins file `number`, from 1.
  using FirstRecord = std::function<std::string(uint32_t number)>;

  // Makes the next run folder of `folder` and its first file; `folder` is created where it is
  // missing. Errors name the path and what the system said.
  static absl::StatusOr<RecordFolderWriter> Create(const std::string& folder,
                                                   const Options& options,
                                                   FirstRecord first_record);

  // True where another `bytes`, as records of `records`, stay below the total.
  bool HasRoom(uint64_t bytes, uint64_t records) const;
  // Goes on to the next file where this one has reached its size.
  absl::Status RotateWhereFull();
  // To the file of the last rotation. RESOURCE_EXHAUSTED: the total; else what the system said.
  absl::Status Append(std::string_view record);
  absl::Status Flush() { return file_->Flush(); }

  const std::string& run_folder() const { return run_folder_; }
  uint64_t bytes() const { return closed_bytes_ + file_->bytes(); }

 private:
  RecordFolderWriter(const Options& options, std::string run_folder, FirstRecord first_record)
      : options_(options),
        run_folder_(std::move(run_folder)),
        first_record_(std::move(first_record)) {}
  absl::Status NextFile();

  Options options_;
  std::string run_folder_;
  FirstRecord first_record_;
  uint32_t files_ = 0;
  uint64_t closed_bytes_ = 0;
  std::optional<RecordFileWriter> file_;  // set once created
};

// The files of the recording at `path`, in order: of a file itself, of a run folder, or of a folder
// with exactly one run. NOT_FOUND, or FAILED_PRECONDITION naming the runs to choose from.
absl::StatusOr<std::vector<std::string>> RecordingFiles(const std::string& path);

}  // namespace automot::recording
