#include "tools/loadgen/cancel_timer.h"

#include "absl/time/clock.h"

namespace automot::loadgen {

CancelTimer::CancelTimer() : thread_([this] { Run(); }) {}

CancelTimer::~CancelTimer() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

CancelTimer::Guard::Guard(CancelTimer* timer, grpc::ClientContext* call, absl::Time when)
    : timer_(timer) {
  const std::lock_guard lock(timer_->mutex_);
  key_ = {when, timer_->next_id_++};
  timer_->due_[key_] = call;
  timer_->changed_.notify_all();
}

CancelTimer::Guard::~Guard() {
  const std::lock_guard lock(timer_->mutex_);
  timer_->due_.erase(key_);
}

void CancelTimer::Run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (due_.empty()) {
      changed_.wait(lock);
      continue;
    }
    const absl::Duration wait = due_.begin()->first.first - absl::Now();
    if (wait > absl::ZeroDuration()) {
      changed_.wait_for(lock, absl::ToChronoNanoseconds(wait));
      continue;
    }
    // Under the lock: the call cannot go meanwhile.
    due_.begin()->second->TryCancel();
    due_.erase(due_.begin());
  }
}

}  // namespace automot::loadgen
