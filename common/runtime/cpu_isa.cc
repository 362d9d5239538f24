#include "common/runtime/cpu_isa.h"

#include <cstdlib>

namespace automot {
namespace {

constexpr char kVariable[] = "ONEDNN_MAX_CPU_ISA";

}  // namespace

std::string LimitOneDnnIsa() {
  const bool bf16 = __builtin_cpu_supports("avx512bf16");
  setenv(kVariable, bf16 ? "AVX512_CORE_BF16" : "AVX512_CORE", /*overwrite=*/0);
  return std::getenv(kVariable);
}

}  // namespace automot
