// Threads of the model: stacks that one thread of the system changes between by hand.
#pragma once

#include <ucontext.h>

#include <csetjmp>
#include <cstddef>
#include <functional>
#include <memory>

namespace automot::model {

// Runs one body after the other on a stack of its own. Not movable: the stack names it.
class Fiber {
 public:
  Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // The next switch to this fiber begins `body`, once the last one, which has nothing left to do,
  // has returned.
  void Begin(std::function<void()> body) { body_ = std::move(body); }
  // Leaves the running fiber (`from`) and goes on with this one. A body switches away as the last
  // thing that it does, and returns when it is switched to again.
  void SwitchFrom(Fiber& from);

  // The thread that called first; it has no stack of its own.
  struct Main {};
  explicit Fiber(Main) : started_(true) {}

 private:
  static void Entry(unsigned low, unsigned high);

  static constexpr std::size_t kStackBytes = std::size_t{128} << 10;
  std::unique_ptr<std::byte[]> stack_;
  std::function<void()> body_;
  ucontext_t context_{};
  jmp_buf resume_{};
  bool started_ = false;
};

}  // namespace automot::model
