// Makes quantised snapshots out of the ones that are being computed: one layer at a time, as each
// is exported, on a thread beside the expert's, so that no layer waits for it.
//
// The consumer sees the quantised snapshot exactly as it would see the other: layers as they
// become final, then the snapshot, or a failure (a value that is not finite, no buffer).
#pragma once

#include <atomic>
#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "common/context/context_snapshot.h"
#include "common/context/kv_buffer_pool.h"
#include "services/reasoning/link_thread.h"

namespace automot::reasoning {

// On* are called by one thread at a time (the worker) and only post; the outputs are called on
// `thread`, in order. Lives until its last task has run.
class QuantisedFeed : public std::enable_shared_from_this<QuantisedFeed> {
 public:
  struct Outputs {
    std::function<void(const context::SnapshotPtr& building, int layers_ready)> on_layers;
    std::function<void(const context::SnapshotPtr& snapshot)> on_snapshot;
    std::function<void(SessionTimeUs capture_time_us, const absl::Status& why)> on_failed;
    std::function<void()> on_idle;  // after each snapshot or failure
  };

  // `type` is quantised. `pool` and `thread` outlive the feed's last task.
  QuantisedFeed(context::ContextLayout::ElementType type, context::KvBufferPool* pool,
                LinkThread* thread, Outputs outputs)
      : type_(type), pool_(pool), thread_(thread), outputs_(std::move(outputs)) {}

  // Layers [0, layers_ready) of `native` are final.
  void OnLayers(const context::SnapshotPtr& native, int layers_ready);
  void OnSnapshot(const context::SnapshotPtr& native);
  void OnFailed(SessionTimeUs capture_time_us, const absl::Status& why);

  // True where no snapshot or failure waits to be handed over. Any thread.
  bool idle() const { return unfinished_.load(std::memory_order_acquire) == 0; }

 private:
  void Begin(const context::SnapshotPtr& native);
  void Advance(const context::SnapshotPtr& native, int layers_ready);
  void Finish(const context::SnapshotPtr& native);
  void Done();

  const context::ContextLayout::ElementType type_;
  context::KvBufferPool* const pool_;
  LinkThread* const thread_;
  const Outputs outputs_;
  std::atomic<int> unfinished_{0};

  // On `thread_` only.
  context::SnapshotPtr native_;  // in work; null: none
  std::shared_ptr<context::ContextSnapshot> building_;
  int layers_done_ = 0;
  absl::Status status_;  // of the snapshot in work
};

}  // namespace automot::reasoning
