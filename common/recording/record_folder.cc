#include "common/recording/record_folder.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/status/status_macros.h"

namespace automot::recording {
namespace {

namespace fs = std::filesystem;

constexpr uint32_t kMaxRuns = 9999;

absl::Status SystemError(const char* what, const std::string& path, const std::error_code& error) {
  return absl::ErrnoToStatus(error.value(), absl::StrCat("cannot ", what, " '", path, "'"));
}

// Entries of a folder whose names begin and end so, sorted by name.
absl::StatusOr<std::vector<std::string>> Entries(const std::string& folder, std::string_view begin,
                                                 std::string_view end) {
  std::error_code error;
  fs::directory_iterator at(folder, error);
  if (error) return SystemError("read", folder, error);
  std::vector<std::string> found;
  for (; at != fs::directory_iterator(); at.increment(error)) {
    if (error) return SystemError("read", folder, error);
    const std::string name = at->path().filename();
    if (name.starts_with(begin) && name.ends_with(end)) found.push_back(at->path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace

absl::StatusOr<RecordFolderWriter> RecordFolderWriter::Create(const std::string& folder,
                                                              const Options& options,
                                                              FirstRecord first_record) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return SystemError("create", folder, error);
  for (uint32_t run = 1; run <= kMaxRuns; ++run) {
    const std::string run_folder = absl::StrFormat("%s/run-%04d", folder, run);
    const bool created = fs::create_directory(run_folder, error);
    if (error) return SystemError("create", run_folder, error);
    if (!created) continue;  // an earlier run's
    RecordFolderWriter writer(options, run_folder, std::move(first_record));
    AUTOMOT_RETURN_IF_ERROR(writer.NextFile());
    return writer;
  }
  return absl::ResourceExhaustedError(
      absl::StrCat("'", folder, "' holds ", kMaxRuns, " recordings; that is the limit"));
}

absl::Status RecordFolderWriter::NextFile() {
  if (file_) {
    AUTOMOT_RETURN_IF_ERROR(file_->Flush());
    closed_bytes_ += file_->bytes();
    file_.reset();
  }
  AUTOMOT_ASSIGN_OR_RETURN(
      file_, RecordFileWriter::Create(absl::StrFormat("%s/%04d.rec", run_folder_, ++files_)));
  return file_->Append(first_record_(files_));
}

absl::Status RecordFolderWriter::RotateWhereFull() {
  return file_->bytes() < options_.file_bytes ? absl::OkStatus() : NextFile();
}

bool RecordFolderWriter::HasRoom(uint64_t bytes, uint64_t records) const {
  return this->bytes() + bytes + records * kRecordHeadBytes <= options_.total_bytes;
}

absl::Status RecordFolderWriter::Append(std::string_view record) {
  if (!HasRoom(record.size(), 1)) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the recording has ", bytes(), " bytes; the limit is ", options_.total_bytes));
  }
  return file_->Append(record);
}

absl::StatusOr<std::vector<std::string>> RecordingFiles(const std::string& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) {
    if (!fs::exists(path, error)) return absl::NotFoundError(absl::StrCat("no '", path, "'"));
    return std::vector<std::string>{path};
  }
  AUTOMOT_ASSIGN_OR_RETURN(std::vector<std::string> files, Entries(path, "", ".rec"));
  if (!files.empty()) return files;
  AUTOMOT_ASSIGN_OR_RETURN(const std::vector<std::string> runs, Entries(path, "run-", ""));
  if (runs.size() == 1) return RecordingFiles(runs.front());
  if (runs.empty()) return absl::NotFoundError(absl::StrCat("no recording in '", path, "'"));
  return absl::FailedPreconditionError(absl::StrCat(
      "'", path, "' holds ", runs.size(), " recordings: name one of ", absl::StrJoin(runs, ", ")));
}

}  // namespace automot::recording
