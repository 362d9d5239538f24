// Gives calls up at a set time, from a thread of its own. Thread-safe.
#pragma once

#include <grpcpp/client_context.h>

#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"

namespace automot::loadgen {

class CancelTimer {
 public:
  CancelTimer();
  ~CancelTimer();

  // Cancels `call` at `when` unless the guard has gone by then. `call` outlives the guard.
  class Guard {
   public:
    Guard(CancelTimer* timer, grpc::ClientContext* call, absl::Time when);
    ~Guard();
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;

   private:
    CancelTimer* const timer_;
    std::pair<absl::Time, uint64_t> key_;
  };

 private:
  void Run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::pair<absl::Time, uint64_t>, grpc::ClientContext*> due_ ABSL_GUARDED_BY(mutex_);
  uint64_t next_id_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // last: it uses the members above
};

}  // namespace automot::loadgen
