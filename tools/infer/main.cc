// automot-infer: the model on files (docs/automot_infer.md).
#include <algorithm>
#include <string>

#include "common/runtime/cpu_isa.h"
#include "common/runtime/program_exit.h"
#include "tools/infer/infer.h"
#include "tools/infer/infer_options.h"

namespace {

// One line, whatever the message: a checkpoint's complaint lists every tensor on a line of its own.
int End(int exit_code, const absl::Status& why) {
  std::string message(why.message());
  std::replace(message.begin(), message.end(), '\n', ' ');
  return automot::EndProgram("automot-infer", exit_code, absl::Status(why.code(), message));
}

}  // namespace

int main(int argc, char** argv) {
  automot::LimitOneDnnIsa();
  const auto options = automot::infer::ParseInferOptions(argc, argv);
  if (!options.ok()) return End(automot::kExitBadUsage, options.status());
  const absl::Status status = automot::infer::Infer(*options);
  return status.ok() ? 0 : End(automot::kExitFailed, status);
}
