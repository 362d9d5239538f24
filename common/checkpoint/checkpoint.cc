#include "common/checkpoint/checkpoint.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <set>

#include "absl/strings/str_join.h"
#include "common/checkpoint/derive_geometry.h"
#include "common/checkpoint/json_file.h"
#include "common/checkpoint/layout.h"
#include "common/checkpoint/revision.h"
#include "common/checkpoint/text.h"
#include "common/status/status_macros.h"

namespace automot::model {
namespace {

constexpr size_t kMaxListedProblems = 40;
constexpr size_t kMaxIndexBytes = size_t{64} << 20;
constexpr size_t kMaxShards = 4096;

using Files = std::vector<std::unique_ptr<SafetensorsFile>>;

// The published loader accepts the BEV encoder under three prefixes; one is canonical here.
std::string CanonicalName(std::string_view name) {
  for (const std::string_view prefix : {"bev_encoder.backbone.", "backbone."}) {
    if (name.starts_with(prefix)) return Concat("bev_encoder.", name.substr(prefix.size()));
  }
  return std::string(name);
}

bool IsPlainFileName(std::string_view name) {
  return !name.empty() && name.size() <= 255 && name.front() != '.' &&
         name.find('/') == name.npos && name.find('\0') == name.npos;
}

// The index maps each tensor to its shard. Both directions must hold, else a shard of another
// export is in the directory.
absl::StatusOr<Files> OpenShards(const std::string& directory, const std::string& index_text) {
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
  Files files;
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

absl::StatusOr<Files> OpenBaseFiles(const std::string& directory) {
  const std::string single = directory + "/model.safetensors";
  std::error_code ignored;
  if (!std::filesystem::exists(single, ignored)) {
    auto index = ReadTextFile(directory + "/model.safetensors.index.json", kMaxIndexBytes);
    if (index.ok()) return OpenShards(directory, *index);
    if (!absl::IsNotFound(index.status())) return index.status();
  }
  Files files;
  AUTOMOT_ASSIGN_OR_RETURN(auto file, SafetensorsFile::Open(single));
  files.push_back(std::move(file));
  return files;
}

// Empty if the tensor is as expected.
std::string Mismatch(const ExpectedTensor& expected, const TensorView& found) {
  if (found.shape != expected.shape) {
    return Concat("shape of ", expected.name, " is ", ShapeText(found.shape), ", expected ",
                  ShapeText(expected.shape));
  }
  const bool counter = expected.role == TensorRole::kCounter;
  const bool fits = counter ? found.dtype == DType::kI64
                            : found.dtype == DType::kF32 || found.dtype == DType::kF16 ||
                                  found.dtype == DType::kBF16;
  if (fits) return "";
  return Concat("dtype of ", expected.name, " is ", DTypeName(found.dtype), ", expected ",
                counter ? "I64" : "F32, F16 or BF16");
}

absl::Status CheckAgainstTable(const ModelGeometry& geometry,
                               const std::vector<const TensorView*>& tensors,
                               const TensorLookup& find) {
  std::vector<std::string> problems;
  std::set<std::string_view> known;
  const std::vector<ExpectedTensor> table = ExpectedTensors(geometry);
  for (const ExpectedTensor& expected : table) {
    known.insert(expected.name);
    const TensorView* found = find(expected.name);
    if (found == nullptr) {
      if (!expected.optional) {
        problems.push_back(Concat("missing ", expected.name, " ", ShapeText(expected.shape)));
      }
      continue;
    }
    if (std::string problem = Mismatch(expected, *found); !problem.empty())
      problems.push_back(std::move(problem));
  }
  for (const TensorView* tensor : tensors) {
    if (known.count(tensor->name) == 0) {
      problems.push_back(Concat("unexpected ", tensor->name, " ", ShapeText(tensor->shape)));
    }
  }
  if (problems.empty()) return absl::OkStatus();
  const size_t count = problems.size();
  if (count > kMaxListedProblems) {
    problems.resize(kMaxListedProblems);
    problems.push_back(Concat("and ", count - kMaxListedProblems, " more"));
  }
  return absl::InvalidArgumentError(
      Concat("checkpoint: ", count, " tensor problem(s):\n  ", absl::StrJoin(problems, "\n  ")));
}

absl::Status CheckTiedCopy(const TensorView& head, const TensorView& embedding) {
  const bool same = head.dtype == embedding.dtype && head.bytes.size() == embedding.bytes.size() &&
                    std::memcmp(head.bytes.data(), embedding.bytes.data(), head.bytes.size()) == 0;
  if (same) return absl::OkStatus();
  return absl::InvalidArgumentError(
      Concat("checkpoint: config.json ties the embedding, but the stored ", kLmHeadName,
             " differs from ", kEmbeddingName));
}

}  // namespace

absl::StatusOr<std::shared_ptr<const Checkpoint>> Checkpoint::Open(
    const std::string& directory, const CheckpointOptions& options) {
  std::shared_ptr<Checkpoint> checkpoint(new Checkpoint());
  checkpoint->directory_ = directory;
  AUTOMOT_RETURN_IF_ERROR(checkpoint->OpenFiles(options));
  AUTOMOT_ASSIGN_OR_RETURN(const SideFiles side_files, ReadSideFiles(directory));
  const TensorLookup find = [&](std::string_view name) { return checkpoint->Find(name); };
  AUTOMOT_ASSIGN_OR_RETURN(checkpoint->geometry_, DeriveGeometry(side_files, find));
  AUTOMOT_RETURN_IF_ERROR(CheckAgainstTable(checkpoint->geometry_, checkpoint->sorted_, find));
  AUTOMOT_RETURN_IF_ERROR(checkpoint->TieHead());
  checkpoint->revision_ = ComputeRevision(checkpoint->sorted_, side_files.digest_input);
  return std::shared_ptr<const Checkpoint>(std::move(checkpoint));
}

absl::Status Checkpoint::OpenFiles(const CheckpointOptions& options) {
  AUTOMOT_ASSIGN_OR_RETURN(files_, OpenBaseFiles(directory_));
  for (const auto& file : files_) AUTOMOT_RETURN_IF_ERROR(AddTensors(*file, /*replace=*/false));
  if (options.use_ema) {
    AUTOMOT_ASSIGN_OR_RETURN(auto ema, SafetensorsFile::Open(directory_ + "/ema.safetensors"));
    AUTOMOT_RETURN_IF_ERROR(AddTensors(*ema, /*replace=*/true));
    files_.push_back(std::move(ema));
  }
  for (const auto& [name, view] : by_name_) sorted_.push_back(view);
  std::sort(sorted_.begin(), sorted_.end(),
            [](const TensorView* a, const TensorView* b) { return a->name < b->name; });
  return absl::OkStatus();
}

absl::Status Checkpoint::AddTensors(const SafetensorsFile& file, bool replace) {
  std::set<std::string> in_this_file;
  for (const TensorView& tensor : file.tensors()) {
    auto view = std::make_unique<TensorView>(tensor);
    view->name = CanonicalName(tensor.name);
    const auto it = by_name_.find(view->name);
    if (!in_this_file.insert(view->name).second || (it != by_name_.end() && !replace)) {
      return absl::InvalidArgumentError(Concat(file.path(), ": tensor \"", view->name,
                                               "\" is stored twice (another file or prefix)"));
    }
    if (it != by_name_.end()) by_name_.erase(it);
    by_name_.emplace(view->name, view.get());
    views_.push_back(std::move(view));
  }
  return absl::OkStatus();
}

// A tied head that is stored is a copy: checked, then left out of tensors(), so that the revision
// does not depend on it.
absl::Status Checkpoint::TieHead() {
  if (!geometry_.text.tied) return absl::OkStatus();
  const TensorView* embedding = Find(kEmbeddingName);
  if (const TensorView* head = Find(kLmHeadName); head != nullptr) {
    AUTOMOT_RETURN_IF_ERROR(CheckTiedCopy(*head, *embedding));
    sorted_.erase(std::find(sorted_.begin(), sorted_.end(), head));
    by_name_.erase(kLmHeadName);
  }
  by_name_.emplace(kLmHeadName, embedding);
  return absl::OkStatus();
}

const TensorView* Checkpoint::Find(std::string_view name) const {
  const auto it = by_name_.find(name);
  return it == by_name_.end() ? nullptr : it->second;
}

}  // namespace automot::model
