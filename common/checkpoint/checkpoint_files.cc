#include "common/checkpoint/checkpoint_files.h"

#include <filesystem>
#include <set>

#include "common/checkpoint/json_file.h"
#include "common/checkpoint/text.h"
#include "common/status/status_macros.h"

namespace automot::model {
namespace {

constexpr size_t kMaxIndexBytes = size_t{64} << 20;
constexpr size_t kMaxShards = 4096;

bool IsPlainFileName(std::string_view name) {
  return !name.empty() && name.size() <= 255 && name.front() != '.' &&
         name.find('/') == name.npos && name.find('\0') == name.npos;
}

// The index maps each tensor to its shard. Both directions must hold, else a shard of another
// export is in the directory.
absl::StatusOr<TensorFiles> OpenShards(const std::string& directory,
                                       const std::string& index_text) {
  AUTOMOT_ASSIGN_OR_RETURN(const nlohmann::json index,
                           ParseJson(index_text, "model.safetensors.index.json"));
  const auto map = index.find("weight_map");
  const auto bad = [](const auto&... parts) {
    return absl::InvalidArgumentError(Concat("model.safetensors.index.json: ", parts...));
  };
  if (map == index.end() || !map->is_object()) return bad("weight_map is missing or not an object");
  std::set<std::string> shards;
  for (const auto& [tensor, file] : map->items()) {
    if (!file.is_string() || !IsPlainFileName(file.get<std::string>())) {
      return bad("weight_map: tensor \"", tensor, "\" does not name a file of the directory");
    }
    shards.insert(file.get<std::string>());
    if (shards.size() > kMaxShards) return bad("more than ", kMaxShards, " shards");
  }
  TensorFiles files;
  size_t stored = 0;
  for (const std::string& shard : shards) {
    AUTOMOT_ASSIGN_OR_RETURN(auto file, SafetensorsFile::Open(directory + "/" + shard));
    for (const TensorView& tensor : file->tensors()) {
      const auto it = map->find(tensor.name);
      if (it == map->end())
        return bad("tensor \"", tensor.name, "\" of ", shard, " is not in weight_map");
      if (*it != shard)
        return bad("tensor \"", tensor.name, "\" is in ", shard, ", weight_map says ", it->dump());
    }
    stored += file->tensors().size();
    files.push_back(std::move(file));
  }
  if (stored != map->size())
    return bad("weight_map lists ", map->size(), " tensors, the shards hold ", stored);
  return files;
}

}  // namespace

std::string CanonicalName(std::string_view name) {
  for (const std::string_view prefix : {"bev_encoder.backbone.", "backbone."}) {
    if (name.starts_with(prefix)) return Concat("bev_encoder.", name.substr(prefix.size()));
  }
  return std::string(name);
}

absl::StatusOr<TensorFiles> OpenBaseFiles(const std::string& directory) {
  const std::string single = directory + "/model.safetensors";
  std::error_code ignored;
  if (!std::filesystem::exists(single, ignored)) {
    auto index = ReadTextFile(directory + "/model.safetensors.index.json", kMaxIndexBytes);
    if (index.ok()) return OpenShards(directory, *index);
    if (!absl::IsNotFound(index.status())) return index.status();
  }
  TensorFiles files;
  AUTOMOT_ASSIGN_OR_RETURN(auto file, SafetensorsFile::Open(single));
  files.push_back(std::move(file));
  return files;
}

absl::StatusOr<std::unique_ptr<SafetensorsFile>> OpenEmaFile(const std::string& directory) {
  return SafetensorsFile::Open(directory + "/ema.safetensors");
}

}  // namespace automot::model
