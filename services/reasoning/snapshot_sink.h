// A receiver that also wants the layers of a snapshot while later ones are still being computed.
#pragma once

#include "common/context/snapshot_channel.h"

namespace automot::reasoning {

// Called like a SnapshotReceiver: one call at a time per session, on the reasoning worker's thread
// (the quantiser's, where the consumer asked for a quantised context), never blocking.
class SnapshotSink : public context::SnapshotReceiver {
 public:
  // The header and the layers [0, layers_ready) of `building` are final and may be read from any
  // thread; nothing else of it may be until OnSnapshot hands over the same pointer. A snapshot
  // begun so ends with OnSnapshot or OnRefreshFailed.
  virtual void OnLayers(const context::SnapshotPtr& building, int layers_ready) = 0;

  // The consumer holds `version` complete and verified; 0: none. On any thread, never blocking.
  virtual void OnHeld(uint64_t /*version*/) {}

  // False: a lossless session's next refresh waits until the engine is woken
  // (ReasoningEngine::Wake).
  virtual bool HasRoom() const = 0;
};

}  // namespace automot::reasoning
