#include "common/checkpoint/manifest.h"

#include "common/checkpoint/content_hash.h"
#include "common/checkpoint/json_file.h"
#include "common/checkpoint/text.h"
#include "common/status/status_macros.h"

namespace automot::model {
namespace {

constexpr char kFormat[] = "automot-manifest-1";
constexpr size_t kMaxManifestBytes = size_t{64} << 20;

absl::Status Bad(const std::string& what) {
  return absl::InvalidArgumentError(Concat(kManifestFile, ": ", what));
}

absl::StatusOr<TensorHashes> ReadHashes(const nlohmann::json& document, const char* section) {
  TensorHashes hashes;
  const auto found = document.find(section);
  if (found == document.end()) return hashes;
  if (!found->is_object()) return Bad(Concat(section, " is not an object"));
  for (const auto& [name, hash] : found->items()) {
    if (!hash.is_string() || !IsHashHex(hash.get_ref<const std::string&>())) {
      return Bad(
          Concat(section, ": \"", name.substr(0, 200), "\" is not 32 lower-case hex digits"));
    }
    hashes.emplace(name, hash.get<std::string>());
  }
  return hashes;
}

}  // namespace

absl::StatusOr<CheckpointManifest> ParseManifest(std::string_view text) {
  AUTOMOT_ASSIGN_OR_RETURN(const nlohmann::json document, ParseJson(text, kManifestFile));
  const auto format = document.find("format");
  if (format == document.end() || *format != kFormat) {
    return Bad(Concat("format is not \"", kFormat, "\""));
  }
  CheckpointManifest manifest;
  AUTOMOT_ASSIGN_OR_RETURN(manifest.tensors, ReadHashes(document, "tensors"));
  AUTOMOT_ASSIGN_OR_RETURN(manifest.ema_tensors, ReadHashes(document, "ema_tensors"));
  if (manifest.tensors.empty()) return Bad("tensors is missing or empty");
  return manifest;
}

absl::StatusOr<CheckpointManifest> ReadManifest(const std::string& directory) {
  AUTOMOT_ASSIGN_OR_RETURN(const std::string text,
                           ReadTextFile(directory + "/" + kManifestFile, kMaxManifestBytes));
  return ParseManifest(text);
}

absl::Status WriteManifest(const std::string& directory, const CheckpointManifest& manifest) {
  nlohmann::ordered_json document = {{"format", kFormat}, {"tensors", manifest.tensors}};
  if (!manifest.ema_tensors.empty()) document["ema_tensors"] = manifest.ema_tensors;
  const std::string text =
      document.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  return WriteTextFile(directory + "/" + kManifestFile, text);
}

}  // namespace automot::model
