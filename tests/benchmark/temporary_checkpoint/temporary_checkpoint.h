// A random, untrained checkpoint in a folder of its own that goes with this object.
#pragma once

#include <filesystem>
#include <string>

#include "absl/status/statusor.h"
#include "tools/make_checkpoint/random_checkpoint.h"

namespace automot::benchmarks {

class TemporaryCheckpoint {
 public:
  // `options.directory` is chosen here. UNAVAILABLE without a temporary folder.
  static absl::StatusOr<TemporaryCheckpoint> Write(model::RandomCheckpointOptions options);
  // The embedded default.
  static absl::StatusOr<TemporaryCheckpoint> WriteNano();

  TemporaryCheckpoint() = default;  // nothing
  TemporaryCheckpoint(TemporaryCheckpoint&& other) noexcept;
  TemporaryCheckpoint& operator=(TemporaryCheckpoint&& other) noexcept;
  ~TemporaryCheckpoint();

  const std::string& directory() const { return directory_; }

 private:
  std::string directory_;
};

}  // namespace automot::benchmarks
