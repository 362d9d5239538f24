// The times of one consumer's snapshots, from computing to the transport, and what follows from
// them: whether layers leave one by one (LayerStreaming), and what the trailer says of the
// transfer.
//
// Not thread-safe. A sink drives it: OnLayers as the engine tells, the rest as messages leave.
#pragma once

#include <cstdint>
#include <deque>

#include "absl/time/time.h"
#include "common/context/context_snapshot.h"
#include "common/time/clock.h"
#include "services/reasoning/layer_streaming.h"

namespace automot::reasoning {

class TransferPacer {
 public:
  // `clock` outlives the pacer.
  TransferPacer(LayerStreaming::Setting setting, const Clock* clock)
      : clock_(clock), streaming_(setting) {}

  // Layers [0, ready) of `layers` of the version are computed. True where they may leave: always
  // once all are.
  bool OnLayers(uint64_t version, int ready, int layers);
  // The mode of the newest refresh.
  LayerStreaming::Mode mode() const;

  // The header of `version` is handed over; then each chunk, from its making until the transport
  // has taken it.
  void OnHeader(uint64_t version);
  void OnChunkBegun() { chunk_begun_ = clock_->Now(); }
  void OnChunkTaken();
  // The trailer of `version` is made: says what is known of its transfer, and learns from it.
  void OnTrailer(uint64_t version, context::SnapshotTimings* timings);

 private:
  struct Refresh {
    uint64_t version = 0;
    LayerStreaming::Mode mode = LayerStreaming::Mode::kLayers;
    int layers = 0;
    absl::Duration first, last;  // when the first and the newest layer were there
    bool computed = false;       // all of them
  };
  static constexpr std::size_t kRefreshes = 4;  // more than a consumer ever holds

  const Refresh* Find(uint64_t version) const;
  void Learn(const Refresh& refresh);

  const Clock* const clock_;
  LayerStreaming streaming_;
  std::deque<Refresh> refreshes_;  // newest last
  uint64_t version_ = 0;           // on the wire
  absl::Duration header_at_, chunk_begun_;
  absl::Duration transfer_;  // of the version on the wire, so far
};

}  // namespace automot::reasoning
