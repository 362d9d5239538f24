#include "services/reasoning/link_thread.h"

#include <utility>

#include "common/concurrency/thread_placement.h"

namespace automot::reasoning {

LinkThread::LinkThread(const char* name) : name_(name), thread_([this] { Main(); }) {}

LinkThread::~LinkThread() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  posted_.notify_one();
  thread_.join();
}

void LinkThread::Post(std::function<void()> notice) {
  {
    std::lock_guard lock(mutex_);
    notices_.push_back(std::move(notice));
  }
  posted_.notify_one();
}

void LinkThread::Main() {
  NameThread(name_);
  while (true) {
    std::function<void()> notice;
    {
      std::unique_lock lock(mutex_);
      posted_.wait(lock, [this] { return stopping_ || !notices_.empty(); });
      if (notices_.empty()) return;
      notice = std::move(notices_.front());
      notices_.pop_front();
    }
    notice();
  }
}

}  // namespace automot::reasoning
