#include "tools/recording/entry_reader.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/recording/record_folder.h"
#include "common/status/status_macros.h"

namespace automot::tools {

using Outcome = recording::RecordFileReader::Outcome;

absl::StatusOr<EntryReader> EntryReader::Open(const std::string& path) {
  AUTOMOT_ASSIGN_OR_RETURN(std::vector<std::string> files, recording::RecordingFiles(path));
  return EntryReader(std::move(files));
}

absl::StatusOr<recording::RecordFileReader*> EntryReader::ReaderAt(const EntryPlace& place) {
  std::optional<recording::RecordFileReader>& reader = readers_[place.file];
  if (!reader) {
    AUTOMOT_ASSIGN_OR_RETURN(reader, recording::RecordFileReader::Open(files_[place.file]));
  }
  if (reader->offset() != place.offset) AUTOMOT_RETURN_IF_ERROR(reader->Seek(place.offset));
  return &*reader;
}

std::optional<v1::RecordingEntry> EntryReader::EndAt(const EntryPlace& place,
                                                     RecordingTail::Kind kind, const char* what) {
  tail_.kind = kind;
  tail_.where = absl::StrCat(files_[place.file], ", offset ", place.offset, ": ", what);
  return std::nullopt;
}

absl::StatusOr<std::optional<v1::RecordingEntry>> EntryReader::Next(EntryPlace* place) {
  for (; place->file < files_.size(); *place = {place->file + 1}) {
    AUTOMOT_ASSIGN_OR_RETURN(recording::RecordFileReader* const reader, ReaderAt(*place));
    const bool last = place->file + 1 == files_.size();
    switch (reader->Next(&record_)) {
      case Outcome::kEnd:
        continue;
      case Outcome::kCut:
        return EndAt(*place, last ? RecordingTail::Kind::kCut : RecordingTail::Kind::kDamaged,
                     "the file ends inside a record");
      case Outcome::kDamaged:
        return EndAt(*place, RecordingTail::Kind::kDamaged, "a length or a hash is wrong");
      case Outcome::kRecord:
        break;
    }
    v1::RecordingEntry entry;
    if (!entry.ParseFromString(record_)) {
      return EndAt(*place, RecordingTail::Kind::kDamaged, "the record is no RecordingEntry");
    }
    place->offset = reader->offset();
    if (entry.has_end()) tail_ = {RecordingTail::Kind::kEnded, ""};
    return entry;
  }
  return std::nullopt;
}

}  // namespace automot::tools
