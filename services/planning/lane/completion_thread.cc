#include "services/planning/lane/completion_thread.h"

#include <chrono>
#include <utility>

#include "common/concurrency/thread_placement.h"

namespace automot::planning {
namespace {

std::chrono::system_clock::time_point After(absl::Duration delay) {
  return std::chrono::system_clock::now() + absl::ToChronoMicroseconds(delay);
}

}  // namespace

struct CompletionThread::Timer::State {
  grpc::Alarm alarm;
  bool cancelled = false;
};

CompletionThread::CompletionThread(int nice_value)
    : thread_([this, nice_value] { Main(nice_value); }) {}

CompletionThread::~CompletionThread() { Join(); }

void CompletionThread::Join() {
  if (thread_.joinable()) thread_.join();
}

void CompletionThread::Main(int nice_value) {
  NameThread("snapshot-lane");
  LowerThreadPriority(nice_value);
  void* tag = nullptr;
  bool ok = false;
  while (queue_.Next(&tag, &ok)) {
    const std::unique_ptr<Completion> completion(static_cast<Completion*>(tag));
    (*completion)(ok);
  }
}

void CompletionThread::Post(std::function<void()> work) {
  absl::MutexLock lock(&mutex_);  // so that no alarm is set on a queue that has been shut down
  if (stopped()) return;
  posted_.push_back(std::move(work));
  if (posted_.size() > 1) return;  // the thread has been told
  // An alarm of the past completes at once: the way to wake the thread of a completion queue.
  auto alarm = std::make_shared<grpc::Alarm>();
  grpc::Alarm* const raw = alarm.get();
  raw->Set(&queue_, gpr_inf_past(GPR_CLOCK_MONOTONIC),
           Tag([this, alarm = std::move(alarm)](bool) { RunPosted(); }));
}

void CompletionThread::RunPosted() {
  std::deque<std::function<void()>> posted;
  {
    absl::MutexLock lock(&mutex_);
    posted.swap(posted_);
  }
  for (const auto& work : posted) work();
}

void CompletionThread::Timer::Set(CompletionThread& thread, absl::Duration delay,
                                  std::function<void()> work) {
  Cancel();
  if (thread.stopped()) return;
  state_ = std::make_shared<State>();
  state_->alarm.Set(thread.queue(), After(delay),
                    Tag([state = state_, work = std::move(work)](bool ok) {
                      if (ok && !state->cancelled) work();
                    }));
}

void CompletionThread::Timer::Cancel() {
  if (state_ == nullptr) return;
  state_->cancelled = true;
  state_->alarm.Cancel();
  state_.reset();
}

void CompletionThread::Stop() {
  absl::MutexLock lock(&mutex_);
  stopped_.store(true, std::memory_order_release);
  queue_.Shutdown();
}

}  // namespace automot::planning
