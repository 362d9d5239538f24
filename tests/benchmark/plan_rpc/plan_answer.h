// The work of a Plan call without a model, the same behind both kinds of server: the observation is
// checked and converted on gRPC's thread, the answer made on one other thread, as in the planning
// service.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "automot/v1/planning_service.pb.h"
#include "grpcpp/support/status.h"

namespace automot::benchmarks {

// Runs what it is given, in order, on a thread of its own. Thread-safe.
class AnsweringThread {
 public:
  AnsweringThread();
  ~AnsweringThread();  // after what was given has run
  AnsweringThread(const AnsweringThread&) = delete;
  AnsweringThread& operator=(const AnsweringThread&) = delete;

  void Post(std::function<void()> work);

 private:
  void Run();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> work_;
  bool ending_ = false;
  std::thread thread_;  // last: it uses the others
};

grpc::Status CheckRequest(const automot::v1::PlanRequest& request);
void FillAnswer(const automot::v1::PlanRequest& request, automot::v1::PlanResponse* response);

// Children that serve until their input ends; they say {"port": N} first.
int ServeWithCallbacks();
int ServeWithQueues(int threads);

}  // namespace automot::benchmarks
