// Some virtual CPUs announce AMX and then end the process with SIGILL in oneDNN's bfloat16 kernels.
#pragma once

#include <string>

namespace automot {

// Keeps oneDNN below AMX unless ONEDNN_MAX_CPU_ISA is set already: AVX512_CORE_BF16 where the CPU
// has it, else AVX512_CORE (which is no lower than what a CPU without AVX-512 has anyway). Call
// first in main, before any thread and any arithmetic. Returns the value in force, for the log.
std::string LimitOneDnnIsa();

}  // namespace automot
