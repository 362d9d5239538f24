#include "services/reasoning/link_thread.h"

#include <utility>

#include "common/concurrency/thread_placement.h"

namespace automot::reasoning {

LinkThread::LinkThread() : thread_([this] { Main(); }) {}

LinkThread::~LinkThread() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  thread_.join();
}

void LinkThread::Post(std::function<void()> notice) {
  absl::MutexLock lock(&mutex_);
  notices_.push_back(std::move(notice));
}

void LinkThread::Main() {
  NameThread("reasoning-link");
  const auto has_work = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return stopping_ || !notices_.empty();
  };
  while (true) {
    std::function<void()> notice;
    {
      absl::MutexLock lock(&mutex_);
      mutex_.Await(absl::Condition(&has_work));
      if (notices_.empty()) return;
      notice = std::move(notices_.front());
      notices_.pop_front();
    }
    notice();
  }
}

}  // namespace automot::reasoning
