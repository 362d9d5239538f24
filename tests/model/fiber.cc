#include "tests/model/fiber.h"

#include <cstdint>
#include <utility>

namespace automot::model {

Fiber::Fiber() : stack_(std::make_unique<std::byte[]>(kStackBytes)) {
  getcontext(&context_);
  context_.uc_stack.ss_sp = stack_.get();
  context_.uc_stack.ss_size = kStackBytes;
  const auto self = reinterpret_cast<uintptr_t>(this);
  makecontext(&context_, reinterpret_cast<void (*)()>(&Entry), 2, static_cast<unsigned>(self),
              static_cast<unsigned>(static_cast<uint64_t>(self) >> 32));
}

void Fiber::Entry(unsigned low, unsigned high) {
  auto* const self = reinterpret_cast<Fiber*>(uintptr_t{low} | uint64_t{high} << 32);
  for (;;) {
    const std::function<void()> body = std::move(self->body_);
    body();
  }
}

// The first time through setcontext, then by a jump: that makes no system call.
void Fiber::SwitchFrom(Fiber& from) {
  if (_setjmp(from.resume_) != 0) return;
  if (started_) _longjmp(resume_, 1);
  started_ = true;
  setcontext(&context_);
}

}  // namespace automot::model
