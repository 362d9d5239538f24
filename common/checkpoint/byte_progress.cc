#include "common/checkpoint/byte_progress.h"

#include <utility>

#include "common/logging/log.h"

namespace automot::model {
namespace {

constexpr absl::Duration kBetweenLines = absl::Seconds(1);

const Clock& Monotonic() {
  static const MonotonicClock clock;
  return clock;
}

}  // namespace

ByteProgress::ByteProgress(std::string what, uint64_t bytes_total)
    : ByteProgress(std::move(what), bytes_total, Monotonic()) {}

ByteProgress::ByteProgress(std::string what, uint64_t bytes_total, const Clock& clock)
    : what_(std::move(what)),
      bytes_total_(bytes_total),
      clock_(clock),
      begin_(clock.Now()),
      last_line_(begin_) {}

ByteProgress::~ByteProgress() {
  if (last_line_ == begin_) return;
  AUTOMOT_LOG(kInfo, "checkpoint_read",
              {{"what", what_},
               {"bytes", bytes_done_},
               {"seconds", absl::ToDoubleSeconds(clock_.Now() - begin_)}});
}

void ByteProgress::Add(uint64_t bytes) {
  bytes_done_ += bytes;
  const absl::Duration now = clock_.Now();
  if (now - last_line_ < kBetweenLines) return;
  last_line_ = now;
  AUTOMOT_LOG(kInfo, "checkpoint_progress",
              {{"what", what_}, {"bytes_done", bytes_done_}, {"bytes_total", bytes_total_}});
}

}  // namespace automot::model
