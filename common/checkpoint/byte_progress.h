// Shows that a long read goes on: a log line at most once a second, none for reads that end within
// the first.
#pragma once

#include <cstdint>
#include <string>

#include "absl/time/time.h"
#include "common/time/clock.h"

namespace automot::model {

// Not thread-safe. Writes lines of the event "checkpoint_progress" with what, bytes_done and
// bytes_total; the destructor writes the last one, "checkpoint_read" with bytes and seconds, where
// there was a line before. Borrows the clock.
class ByteProgress {
 public:
  // bytes_total: what will be added in all, or an upper bound of it.
  ByteProgress(std::string what, uint64_t bytes_total);
  ByteProgress(std::string what, uint64_t bytes_total, const Clock& clock);
  ~ByteProgress();
  ByteProgress(const ByteProgress&) = delete;
  ByteProgress& operator=(const ByteProgress&) = delete;

  void Add(uint64_t bytes);

 private:
  const std::string what_;
  const uint64_t bytes_total_;
  const Clock& clock_;
  const absl::Duration begin_;
  absl::Duration last_line_;
  uint64_t bytes_done_ = 0;
};

}  // namespace automot::model
