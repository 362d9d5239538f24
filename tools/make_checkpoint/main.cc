// automot-make-checkpoint: writes a random, untrained checkpoint in the official layout.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "common/checkpoint/checkpoint.h"
#include "common/checkpoint/json_file.h"
#include "common/checkpoint/text.h"
#include "common/status/status_macros.h"
#include "tools/make_checkpoint/presets.h"
#include "tools/make_checkpoint/random_checkpoint.h"

namespace automot::model {
namespace {

struct Flags {
  std::string preset = "nano";
  std::string geometry_file;
  std::vector<std::string> settings;
  std::string dtype = "float32";
  bool verify = false;
  RandomCheckpointOptions options;
};

absl::Status ApplySetting(ModelGeometry& geometry, const std::string& setting) {
  const std::vector<std::string> parts = absl::StrSplit(setting, absl::MaxSplits('=', 1));
  std::vector<int64_t> values;
  for (const absl::string_view text : absl::StrSplit(parts.back(), ',')) {
    int64_t value = 0;
    if (parts.size() != 2 || !absl::SimpleAtoi(text, &value)) {
      return absl::InvalidArgumentError(
          Concat("--set ", setting, " is not NAME=NUMBER[,NUMBER...]"));
    }
    values.push_back(value);
  }
  return SetGeometryField(geometry, parts[0], values);
}

absl::Status Run(Flags& flags) {
  ModelGeometry& geometry = flags.options.geometry;
  AUTOMOT_ASSIGN_OR_RETURN(geometry, PresetGeometry(flags.preset));
  if (!flags.geometry_file.empty()) {
    AUTOMOT_ASSIGN_OR_RETURN(const std::string json,
                             ReadTextFile(flags.geometry_file, size_t{1} << 20));
    AUTOMOT_RETURN_IF_ERROR(ApplyGeometryJson(geometry, json));
  }
  for (const std::string& setting : flags.settings)
    AUTOMOT_RETURN_IF_ERROR(ApplySetting(geometry, setting));
  AUTOMOT_RETURN_IF_ERROR(CompleteGeometry(geometry));
  flags.options.dtype = flags.dtype == "bfloat16" ? DType::kBF16 : DType::kF32;
  AUTOMOT_RETURN_IF_ERROR(WriteRandomCheckpoint(flags.options));
  std::printf("%s: %lld values, untrained\n", flags.options.directory.c_str(),
              static_cast<long long>(CountValues(geometry)));
  if (!flags.verify) return absl::OkStatus();
  AUTOMOT_ASSIGN_OR_RETURN(const auto checkpoint,
                           Checkpoint::Open(flags.options.directory, {.use_manifest = false}));
  std::printf("revision %s\n", std::string(checkpoint->revision()).c_str());
  return absl::OkStatus();
}

}  // namespace
}  // namespace automot::model

int main(int argc, char** argv) {
  automot::model::Flags flags;
  CLI::App app("Writes a random, untrained AutoMoT checkpoint in the official layout.");
  app.set_config("--config");
  app.add_option("--preset", flags.preset, "Geometry to start from")
      ->check(CLI::IsMember({"nano", "tiny", "published"}))
      ->capture_default_str();
  app.add_option("--out", flags.options.directory, "Directory to write")->required();
  app.add_option("--seed", flags.options.seed, "Seed of the values")->capture_default_str();
  app.add_option("--geometry", flags.geometry_file, "JSON file of sizes that replace the preset's");
  app.add_option("--set", flags.settings, "One size, NAME=NUMBER[,NUMBER...]; may repeat");
  app.add_option("--dtype", flags.dtype, "Type of the stored values")
      ->check(CLI::IsMember({"float32", "bfloat16"}))
      ->capture_default_str();
  app.add_flag("--store-lm-head", flags.options.store_lm_head, "Store the tied lm_head as well");
  app.add_flag("--overwrite", flags.options.overwrite_trained,
               "Replace even a checkpoint that is not marked untrained");
  app.add_flag("--verify", flags.verify, "Read the whole result back and print its revision");
  app.footer("Sizes:\n" + automot::model::GeometryFieldNames());
  CLI11_PARSE(app, argc, argv);
  const absl::Status status = automot::model::Run(flags);
  if (status.ok()) return 0;
  std::fprintf(stderr, "automot-make-checkpoint: %s\n", std::string(status.message()).c_str());
  return 1;
}
