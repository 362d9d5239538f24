#include "common/context/periodic_thread.h"

#include <pthread.h>
#include <sys/resource.h>

#include <utility>

namespace automot::context {

PeriodicThread::PeriodicThread(std::string name, absl::Duration period, std::function<void()> work)
    : thread_([this, name = std::move(name), period, work = std::move(work)] {
        Run(name, period, work);
      }) {}

PeriodicThread::~PeriodicThread() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void PeriodicThread::Run(const std::string& name, absl::Duration period,
                         const std::function<void()>& work) {
  pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
  setpriority(PRIO_PROCESS, 0, 19);  // this thread only, on Linux
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    wake_.wait_for(lock, absl::ToChronoNanoseconds(period), [this] { return stopping_; });
    lock.unlock();
    work();
    lock.lock();
  }
}

}  // namespace automot::context
