#include "tests/benchmark/plan_rpc/plan_answer.h"

#include <utility>

#include "common/conversion/observation.h"

namespace automot::benchmarks {

AnsweringThread::AnsweringThread() : thread_([this] { Run(); }) {}

AnsweringThread::~AnsweringThread() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void AnsweringThread::Post(std::function<void()> work) {
  {
    const std::lock_guard lock(mutex_);
    work_.push_back(std::move(work));
  }
  wake_.notify_one();
}

void AnsweringThread::Run() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return ending_ || !work_.empty(); });
    if (work_.empty()) return;
    const std::function<void()> next = std::move(work_.front());
    work_.pop_front();
    lock.unlock();
    next();
    lock.lock();
  }
}

grpc::Status CheckRequest(const automot::v1::PlanRequest& request) {
  const auto observation = conversion::ObservationFromProto(request.observation());
  if (observation.ok()) return grpc::Status::OK;
  return {grpc::StatusCode::INVALID_ARGUMENT, std::string(observation.status().message())};
}

void FillAnswer(const automot::v1::PlanRequest& request, automot::v1::PlanResponse* response) {
  constexpr int kRoute = 20, kWaypoints = 6;
  response->set_session(request.session());
  response->set_sequence(request.sequence());
  response->set_capture_time_us(request.observation().capture_time_us());
  for (int i = 0; i < kRoute; ++i) response->mutable_trajectory()->add_route()->set_x(i);
  for (int i = 0; i < kWaypoints; ++i) {
    auto* waypoint = response->mutable_trajectory()->add_waypoints();
    waypoint->set_time_offset_us(500'000 * (i + 1));
    waypoint->mutable_position()->set_x(i);
  }
}

}  // namespace automot::benchmarks
