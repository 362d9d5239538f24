// Runs a scenario of a few threads under every interleaving of their operations on shared memory,
// sequentially consistent: the real code, on fibers, one operation at a time.
//
// Depth first, by running the scenario again from the start with another choice. A state that was
// seen before is not branched from again: states are compared by the values of all atomics, by what
// the scenario says of the rest of its memory, and for each thread by what it has read since its
// action began and by the operation that it is about to make (64-bit fingerprints). Operations on
// memory that only one thread uses, or that nobody writes, are no points of choice; which they are
// is learned, and the search begins again when it turns out to be wrong.
//
// One thread. Weak memory is not modelled: the thread sanitizer's stress runs look for that.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "tests/model/fiber.h"
#include "tests/model/operation.h"

namespace automot::model {

class Explorer;

class Scenario {
 public:
  virtual ~Scenario() = default;
  virtual int threads() const = 0;
  // The body of thread `index`.
  virtual void Run(int index) = 0;
  // After all threads have ended.
  virtual void Finish() = 0;
  // A fingerprint of the shared memory that is not atomic, and of what the checks remember.
  virtual uint64_t Fingerprint() const = 0;
};

struct Exploration {
  std::string failure;    // of the first run that failed; empty: none did
  std::string schedule;   // its threads, one digit for each choice
  bool complete = false;  // nothing was left out
  uint64_t runs = 0;
  uint64_t states = 0;       // with a choice, distinct
  double interleavings = 0;  // different sequences of choices that these cover
  std::string ToString() const;
};

class Explorer final : public Watcher {
 public:
  struct Options {
    int most_preemptions = -1;  // < 0: any number
    uint64_t most_runs = UINT64_MAX;
  };
  // Makes the scenario anew for every run; it may use the explorer until it dies.
  using Maker = std::function<std::unique_ptr<Scenario>(Explorer&)>;

  Exploration Explore(const Options& options, const Maker& make);

  // ---- For scenarios. ----
  // The running thread's local state is `state` from now on: what it read before does not matter.
  void BeginAction(uint64_t state);
  // An access to memory that is not atomic, as a point of choice. `variable` is the scenario's
  // number.
  void Touch(uint32_t variable, bool writes);
  // Ends the search after this run.
  void Fail(const std::string& why);

  // Watcher.
  void Before(const Operation& operation) override;
  void After(const Operation& operation, const Effect& effect) override;
  bool schedules() const override { return true; }

 private:
  struct Thread {
    Fiber fiber;
    uint64_t local = 0;  // what it has read
    Operation pending;   // about to be made
    bool done = true;
  };
  struct Choice {
    uint64_t state = 0;
    uint32_t untried = 0;  // threads, one bit each
    int taken = 0;
    double covered = 0;  // interleavings from here on, as far as they have been run
  };
  struct Sharing {
    uint32_t readers = 0, writers = 0;  // threads, one bit each
    bool shared() const {
      return writers != 0 && ((readers | writers) & ((readers | writers) - 1)) != 0;
    }
  };

  void RunOnce(const Maker& make);
  bool Learn(const Operation& operation);
  uint32_t Enabled() const;
  int Choose();
  int Branch(uint32_t enabled);
  uint64_t StateFingerprint() const;
  void GoOnWith(int next);
  void EndOfThread();
  bool Backtrack();
  void Restart();

  Options options_;
  std::unique_ptr<Scenario> scenario_;
  Fiber main_{Fiber::Main{}};
  std::vector<std::unique_ptr<Thread>> threads_;
  int running_ = -1;
  int live_ = 0;
  int lock_owner_ = -1;   // the store has one mutex
  uint64_t memory_ = 0;   // fingerprint of all atomics
  uint32_t atomics_ = 0;  // their number; touched memory is numbered behind them
  std::vector<Sharing> sharing_;
  bool sharing_grew_ = false;
  int preemptions_ = 0;
  std::size_t depth_ = 0;  // choices made in this run
  bool known_ = false;     // the run is past a state that was seen: no more branches
  double tail_ = 1;        // interleavings behind the point where that was found
  std::vector<Choice> path_;
  std::unordered_map<uint64_t, double> seen_;  // state -> interleavings from it on
  Exploration result_;
};

}  // namespace automot::model
