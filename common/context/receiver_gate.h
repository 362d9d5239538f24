// Serialises the calls to one session's SnapshotReceiver and ends them for good.
//
// A gate belongs to a session and outlives its attachments: a later attachment of the session
// reuses it, so that "one call at a time per session" holds across a re-attach. Thread-safe. A
// receiver may attach again or submit from within a call.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <utility>

namespace automot::context {

class ReceiverGate {
 public:
  std::unique_lock<std::recursive_mutex> Enter() { return std::unique_lock(mutex_); }

 private:
  std::recursive_mutex mutex_;  // recursive: a receiver may end its own attachment
};

// One attachment's right to call.
class ReceiverPass {
 public:
  explicit ReceiverPass(std::shared_ptr<ReceiverGate> gate) : gate_(std::move(gate)) {}

  // Runs `call` unless revoked. False where revoked.
  template <typename Call>
  bool Run(Call&& call) {
    const auto entered = gate_->Enter();
    if (revoked_.load(std::memory_order_acquire)) return false;
    std::forward<Call>(call)();
    return true;
  }

  // No call begins after this; one that runs on another thread may still be ending.
  void Revoke() { revoked_.store(true, std::memory_order_release); }
  // When it returns no call runs (but the caller's own, if it is inside one).
  void RevokeAndWait() {
    Revoke();
    gate_->Enter();
  }

  bool revoked() const { return revoked_.load(std::memory_order_acquire); }
  const std::shared_ptr<ReceiverGate>& gate() const { return gate_; }

 private:
  std::shared_ptr<ReceiverGate> gate_;
  std::atomic<bool> revoked_{false};
};

}  // namespace automot::context
