#include "tests/benchmark/temporary_checkpoint/temporary_checkpoint.h"

#include <stdlib.h>

#include <utility>

#include "common/status/status_macros.h"
#include "tools/make_checkpoint/presets.h"

namespace automot::benchmarks {

TemporaryCheckpoint::TemporaryCheckpoint(TemporaryCheckpoint&& other) noexcept
    : directory_(std::exchange(other.directory_, {})) {}

TemporaryCheckpoint& TemporaryCheckpoint::operator=(TemporaryCheckpoint&& other) noexcept {
  std::swap(directory_, other.directory_);
  return *this;
}

TemporaryCheckpoint::~TemporaryCheckpoint() {
  std::error_code ignored;
  if (!directory_.empty()) std::filesystem::remove_all(directory_, ignored);
}

absl::StatusOr<TemporaryCheckpoint> TemporaryCheckpoint::Write(
    model::RandomCheckpointOptions options) {
  std::string pattern = std::filesystem::temp_directory_path() / "automot_bench_XXXXXX";
  if (::mkdtemp(pattern.data()) == nullptr) {
    return absl::UnavailableError("no temporary folder");
  }
  TemporaryCheckpoint made;
  made.directory_ = options.directory = std::move(pattern);
  AUTOMOT_RETURN_IF_ERROR(model::WriteRandomCheckpoint(options));
  return made;
}

absl::StatusOr<TemporaryCheckpoint> TemporaryCheckpoint::WriteNano() {
  model::RandomCheckpointOptions nano;
  AUTOMOT_ASSIGN_OR_RETURN(nano.geometry, model::PresetGeometry("nano"));
  return Write(std::move(nano));
}

}  // namespace automot::benchmarks
