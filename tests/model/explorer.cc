#include "tests/model/explorer.h"

#include <algorithm>
#include <bit>
#include <sstream>
#include <utility>

namespace automot::model {
namespace {

uint64_t Mix(uint64_t a, uint64_t b) {
  uint64_t x = a + 0x9E3779B97F4A7C15ULL + b * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
  return x ^ (x >> 31);
}

uint32_t Bit(int thread) { return 1U << static_cast<unsigned>(thread); }

}  // namespace

const char* ToString(OperationKind kind) {
  switch (kind) {
    case OperationKind::kLoad:
      return "load";
    case OperationKind::kStore:
      return "store";
    case OperationKind::kReadModifyWrite:
      return "read-modify-write";
    case OperationKind::kLock:
      return "lock";
    case OperationKind::kUnlock:
      return "unlock";
  }
  return "unknown";
}

std::string Exploration::ToString() const {
  std::ostringstream text;
  text << runs << " runs, " << states << " states, " << interleavings << " interleavings"
       << (complete ? ", complete" : ", not complete");
  if (!failure.empty()) text << "\nfailed: " << failure << "\nschedule: " << schedule;
  return text.str();
}

// ------------------------------------------------------------------------------------- the search

Exploration Explorer::Explore(const Options& options, const Maker& make) {
  options_ = options;
  result_ = {};
  sharing_.clear();
  Restart();
  do {
    RunOnce(make);
    if (!result_.failure.empty()) break;
    if (std::exchange(sharing_grew_, false)) {
      Restart();
      continue;
    }
    if (!Backtrack()) {
      result_.complete = options_.most_preemptions < 0;
      break;
    }
  } while (result_.runs < options_.most_runs);
  result_.states = seen_.size();
  return result_;
}

void Explorer::Restart() {
  path_.clear();
  seen_.clear();
  result_.runs = 0;
  result_.interleavings = 0;
}

void Explorer::RunOnce(const Maker& make) {
  ++result_.runs;
  variables_made = 0;
  watcher = nullptr;
  scenario_ = make(*this);
  const int threads = scenario_->threads();
  while (static_cast<int>(threads_.size()) < threads) {
    threads_.push_back(std::make_unique<Thread>());
  }
  atomics_ = variables_made;
  memory_ = 0;
  sharing_.resize(std::max<std::size_t>(sharing_.size(), variables_made));
  depth_ = 0;
  preemptions_ = 0;
  known_ = false;
  tail_ = 1;
  lock_owner_ = -1;
  live_ = threads;
  for (int i = 0; i < threads; ++i) {
    Thread& thread = *threads_[static_cast<std::size_t>(i)];
    thread.local = 0;
    thread.done = false;
    thread.pending = {.kind = OperationKind::kLoad, .variable = UINT32_MAX};  // to begin at all
    thread.fiber.Begin([this, i] {
      scenario_->Run(i);
      EndOfThread();
    });
  }
  running_ = -1;
  watcher = this;
  const int first = Choose();
  running_ = first;
  threads_[static_cast<std::size_t>(first)]->fiber.SwitchFrom(main_);
  watcher = nullptr;
  if (live_ == 0) {
    scenario_->Finish();
  } else {
    Fail("deadlock");
  }
  scenario_.reset();
}

// Takes the deepest choice that has something untried; false where none has.
bool Explorer::Backtrack() {
  double covered = tail_;
  while (!path_.empty()) {
    Choice& last = path_.back();
    last.covered += covered;
    if (last.untried != 0) {
      last.taken = std::countr_zero(last.untried);
      last.untried &= last.untried - 1;
      return true;
    }
    seen_[last.state] = covered = last.covered;
    path_.pop_back();
  }
  result_.interleavings = covered;
  return false;
}

// ---------------------------------------------------------------------------------------- one run

uint64_t Explorer::StateFingerprint() const {
  uint64_t state = Mix(memory_, scenario_->Fingerprint());
  state = Mix(state, static_cast<uint64_t>(lock_owner_ + 1));
  for (int i = 0; i < scenario_->threads(); ++i) {
    const Thread& thread = *threads_[static_cast<std::size_t>(i)];
    const Operation& next = thread.pending;
    state = Mix(state, thread.done ? 1 : thread.local);
    state = Mix(state, uint64_t{next.variable} << 8 | static_cast<uint64_t>(next.kind));
    state = Mix(state, next.argument);
  }
  if (options_.most_preemptions < 0) return state;
  return Mix(state, static_cast<uint64_t>(preemptions_ * 64 + running_ + 1));
}

uint32_t Explorer::Enabled() const {
  uint32_t enabled = 0;
  for (int i = 0; i < scenario_->threads(); ++i) {
    const Thread& thread = *threads_[static_cast<std::size_t>(i)];
    const bool blocked = thread.pending.kind == OperationKind::kLock && lock_owner_ >= 0;
    if (!thread.done && !blocked) enabled |= Bit(i);
  }
  return enabled;
}

int Explorer::Choose() {
  const uint32_t enabled = Enabled();
  if (enabled == 0) return -1;
  const bool goes_on = running_ >= 0 && (enabled & Bit(running_)) != 0;
  if ((enabled & (enabled - 1)) == 0) return std::countr_zero(enabled);
  int next = 0;
  if (depth_ < path_.size()) {
    next = path_[depth_].taken;
    ++depth_;
  } else if (known_) {
    return goes_on ? running_ : std::countr_zero(enabled);
  } else {
    next = Branch(enabled);
  }
  if (goes_on && next != running_) ++preemptions_;
  return next;
}

// At the end of the path: a new state is branched from, one that was seen is not.
int Explorer::Branch(uint32_t enabled) {
  const bool goes_on = running_ >= 0 && (enabled & Bit(running_)) != 0;
  const int first = goes_on ? running_ : std::countr_zero(enabled);
  const uint64_t state = StateFingerprint();
  if (const auto found = seen_.find(state); found != seen_.end()) {
    known_ = true;
    tail_ = found->second;
    return first;
  }
  Choice choice{.state = state, .taken = first};
  if (!goes_on || options_.most_preemptions < 0 || preemptions_ < options_.most_preemptions) {
    choice.untried = enabled & ~Bit(first);
  }
  path_.push_back(choice);
  ++depth_;
  return first;
}

void Explorer::GoOnWith(int next) {
  if (next == running_) return;
  Fiber& from = running_ < 0 ? main_ : threads_[static_cast<std::size_t>(running_)]->fiber;
  running_ = next;
  (next < 0 ? main_ : threads_[static_cast<std::size_t>(next)]->fiber).SwitchFrom(from);
}

void Explorer::EndOfThread() {
  threads_[static_cast<std::size_t>(running_)]->done = true;
  --live_;
  GoOnWith(Choose());
}

// True where other threads use the same memory, as far as is known.
bool Explorer::Learn(const Operation& operation) {
  if (operation.kind == OperationKind::kLock) return true;
  if (operation.variable >= sharing_.size()) sharing_.resize(operation.variable + 1);
  Sharing& sharing = sharing_[operation.variable];
  const bool before = sharing.shared();
  (operation.writes() ? sharing.writers : sharing.readers) |= Bit(running_);
  if (sharing.shared() && !before) sharing_grew_ = true;
  return sharing.shared();
}

void Explorer::Before(const Operation& operation) {
  if (operation.kind == OperationKind::kUnlock) return;
  if (!Learn(operation)) return;
  threads_[static_cast<std::size_t>(running_)]->pending = operation;
  GoOnWith(Choose());
  if (operation.kind == OperationKind::kLock) lock_owner_ = running_;
}

void Explorer::After(const Operation& operation, const Effect& effect) {
  Thread& self = *threads_[static_cast<std::size_t>(running_)];
  if (operation.kind == OperationKind::kUnlock) {
    lock_owner_ = -1;
  } else if (operation.kind == OperationKind::kLock) {
    // Everything that it reads under the lock follows from this.
    self.local = Mix(self.local, scenario_->Fingerprint());
  } else {
    self.local = Mix(self.local, effect.read);
    memory_ ^= Mix(operation.variable, effect.before) ^ Mix(operation.variable, effect.now);
  }
  // A reader's choice among what it entered is a step of its own.
  if (operation.kind == OperationKind::kReadModifyWrite && Learn(operation)) {
    self.pending = {.kind = OperationKind::kLoad, .variable = operation.variable, .argument = 1};
    GoOnWith(Choose());
  }
}

void Explorer::BeginAction(uint64_t state) {
  threads_[static_cast<std::size_t>(running_)]->local = Mix(state, 7);
}

void Explorer::Touch(uint32_t variable, bool writes) {
  if (watcher == nullptr) return;  // before the threads begin, or after they have ended
  const Operation operation{writes ? OperationKind::kStore : OperationKind::kLoad,
                            atomics_ + variable};
  if (!Learn(operation)) return;
  threads_[static_cast<std::size_t>(running_)]->pending = operation;
  GoOnWith(Choose());
}

void Explorer::Fail(const std::string& why) {
  if (!result_.failure.empty()) return;
  result_.failure = why;
  for (std::size_t i = 0; i < depth_; ++i) {
    result_.schedule += static_cast<char>('0' + path_[i].taken);
  }
}

}  // namespace automot::model
