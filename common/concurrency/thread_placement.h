// Where threads run: the planner owns its core; everything slow runs elsewhere, at lower priority
// (design 6).
#pragma once

#include <string>

#include "absl/status/status.h"

namespace automot {

// Names the calling thread (15 characters show in tools).
void NameThread(const std::string& name);

// Pins the calling thread to one core. FAILED_PRECONDITION where the process may not run there.
absl::Status PinThreadToCore(int core);

// Raises the calling thread's nice value (0 .. 19): it yields to others. Best effort.
void LowerThreadPriority(int nice_value);

// Cores that this process may run on.
int AvailableCores();

}  // namespace automot
