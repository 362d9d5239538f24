// automot-manifest: writes or checks the hashes of a checkpoint's tensors (docs/operations.md).
#include <CLI/CLI.hpp>
#include <cstdio>

#include "common/checkpoint/checkpoint.h"
#include "common/checkpoint/make_manifest.h"
#include "common/checkpoint/manifest.h"
#include "common/checkpoint/problem_list.h"
#include "common/checkpoint/text.h"
#include "common/status/status_macros.h"

namespace automot::model {
namespace {

absl::Status Check(const std::string& directory, const CheckpointManifest& found) {
  AUTOMOT_ASSIGN_OR_RETURN(const CheckpointManifest stored, ReadManifest(directory));
  ProblemList problems;
  for (std::string& line : ManifestDifferences(stored, found)) problems.Add(std::move(line));
  return problems.ToStatus(Concat(directory, "/", kManifestFile), "difference");
}

absl::Status Run(const std::string& directory, bool check) {
  AUTOMOT_ASSIGN_OR_RETURN(const CheckpointManifest found, MakeManifest(directory));
  if (check) {
    AUTOMOT_RETURN_IF_ERROR(Check(directory, found));
  } else {
    AUTOMOT_RETURN_IF_ERROR(WriteManifest(directory, found));
  }
  AUTOMOT_ASSIGN_OR_RETURN(const auto checkpoint, Checkpoint::Open(directory));
  std::printf("revision %s\n", std::string(checkpoint->revision()).c_str());
  return absl::OkStatus();
}

}  // namespace
}  // namespace automot::model

int main(int argc, char** argv) {
  CLI::App app(
      "Reads every tensor of a checkpoint once and writes automot_manifest.json beside them, so "
      "that "
      "services start without reading what they do not load.");
  std::string directory;
  bool check = false;
  app.add_option("directory", directory, "Checkpoint directory")->required();
  app.add_flag("--check", check, "Compare with the manifest that is there; write nothing");
  CLI11_PARSE(app, argc, argv);
  const absl::Status status = automot::model::Run(directory, check);
  if (status.ok()) return 0;
  std::fprintf(stderr, "automot-manifest: %s\n", std::string(status.message()).c_str());
  return 1;
}
