// What one session still has to give its reasoning producer: every frame, in time for the history
// grid, and the newest observation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "common/context/slow_observation.h"
#include "services/planning/policy/history_grid.h"

namespace automot::planning {

using CameraFramePtr = std::shared_ptr<const CameraFrame>;

// Not thread-safe. Two disciplines for refresh candidates, as the producer's: newest wins (one
// waits), or lossless (a bounded queue, in order). Frames are kept in a bounded ring whatever
// happens to candidates and links, and go out again after MarkUnsent; so do candidates that were
// taken but not answered, because what a producer had not finished is lost with its attachment.
class ObservationOutbox {
 public:
  struct Options {
    bool lossless = false;
    std::size_t lossless_capacity = 16;
    std::size_t ring_frames = 32;  // semantics 3
    std::size_t batch_frames = 8;  // observation.proto
    HistoryGrid grid;              // what a context is made from
  };
  struct Batch {
    context::SlowObservationPtr observation;
    std::vector<CameraFramePtr> frames;  // oldest first
    bool history_only =
        false;  // false: `observation` is a refresh candidate and all that it needs is with it
  };
  enum class Outcome { kAccepted, kSuperseded, kFull };

  explicit ObservationOutbox(const Options& options) : options_(options) {}

  // The frames are taken even where the candidate is not (kFull).
  Outcome Add(const context::SlowObservationPtr& observation);

  // What to send next, while nothing else is under way. The grid of the next candidate goes first,
  // the candidate with its newest frames second, other frames last.
  std::optional<Batch> Next() const;
  // The producer has `batch`.
  void Acknowledge(const Batch& batch);
  // The producer will not have `batch`: neither its frames nor its observation go out again.
  void Discard(const Batch& batch);
  // A snapshot of `capture_us` is here: what is not newer needs no refresh any more.
  void Answered(SessionTimeUs capture_us);

  // A new attachment: its producer has none of the frames and owes no answer yet.
  void MarkUnsent();
  // A new episode: nothing of the old one is wanted.
  void Clear();
  // The discipline of a new attachment; frames stay.
  void SetLossless(bool lossless);

  std::size_t frames() const { return ring_.size(); }

 private:
  struct Entry {
    CameraFramePtr frame;
    bool sent = false;
  };

  void AddFrame(const CameraFramePtr& frame);
  std::vector<const Entry*> Unsent(SessionTimeUs until_us) const;
  std::vector<const Entry*> UnsentOnGrid(SessionTimeUs until_us) const;

  Options options_;
  std::deque<Entry> ring_;                              // increasing capture times
  std::deque<context::SlowObservationPtr> candidates_;  // newest wins: at most one
  std::deque<context::SlowObservationPtr> submitted_;   // with the producer, not answered
  context::SlowObservationPtr carrier_;  // newest observation: history travels with it
};

}  // namespace automot::planning
