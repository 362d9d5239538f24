// What the version table is built on. tests/model has another file of this name, which comes first
// on its include path: it compiles the table's own code against atomics and mutexes that a
// scheduler drives, or that stop at every operation. Decision record 0018.
#pragma once

#include <atomic>
#include <mutex>

namespace automot::context::seam {

template <typename T>
using Atomic = std::atomic<T>;
using Mutex = std::mutex;

}  // namespace automot::context::seam
