// automot-infer: the model on files (docs/automot_infer.md).
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "tools/infer/infer.h"
#include "tools/infer/infer_options.h"

namespace {

// One line, whatever the message.
int Fail(int exit_code, const absl::Status& status) {
  std::string message(status.message());
  std::replace(message.begin(), message.end(), '\n', ' ');
  std::fprintf(stderr, "automot-infer: %s\n", message.c_str());
  return exit_code;
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = automot::infer::ParseInferOptions(argc, argv);
  if (!options.ok()) return Fail(2, options.status());
  // Some processors announce AMX and then kill the process in oneDNN's bfloat16 kernels; oneDNN
  // reads this at its first use.
  if (options->bfloat16) ::setenv("ONEDNN_MAX_CPU_ISA", "AVX512_CORE", /*overwrite=*/0);
  const absl::Status status = automot::infer::Infer(*options);
  return status.ok() ? 0 : Fail(1, status);
}
