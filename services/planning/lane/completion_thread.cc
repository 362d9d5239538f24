#include "services/planning/lane/completion_thread.h"

#include <chrono>
#include <utility>

#include "absl/synchronization/mutex.h"
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

CompletionThread::~CompletionThread() { thread_.join(); }

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
  // An alarm that is due at once is the way to hand work to a completion queue.
  auto alarm = std::make_shared<grpc::Alarm>();
  grpc::Alarm* const raw = alarm.get();
  raw->Set(&queue_, After(absl::ZeroDuration()),
           Tag([alarm = std::move(alarm), work = std::move(work)](bool) { work(); }));
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
  stopped_.store(true, std::memory_order_release);
  queue_.Shutdown();
}

}  // namespace automot::planning
