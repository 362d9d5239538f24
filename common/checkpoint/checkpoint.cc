#include "common/checkpoint/checkpoint.h"

#include <algorithm>
#include <set>

#include "common/checkpoint/content_hash.h"
#include "common/checkpoint/derive_geometry.h"
#include "common/checkpoint/layout.h"
#include "common/checkpoint/make_manifest.h"
#include "common/checkpoint/manifest.h"
#include "common/checkpoint/revision.h"
#include "common/checkpoint/tensor_check.h"
#include "common/checkpoint/text.h"
#include "common/status/status_macros.h"

namespace automot::model {
namespace {

// Both what the sizes contradict and what the files lack, where both is wrong: one explains the
// other.
absl::Status Joined(const absl::Status& sizes, const absl::Status& tensors) {
  if (sizes.ok() || tensors.ok()) return sizes.ok() ? tensors : sizes;
  return absl::InvalidArgumentError(Concat(sizes.message(), "\n", tensors.message()));
}

}  // namespace

absl::StatusOr<std::shared_ptr<const Checkpoint>> Checkpoint::Open(
    const std::string& directory, const CheckpointOptions& options) {
  std::shared_ptr<Checkpoint> checkpoint(new Checkpoint());
  checkpoint->directory_ = directory;
  AUTOMOT_RETURN_IF_ERROR(checkpoint->OpenFiles(options));
  AUTOMOT_ASSIGN_OR_RETURN(const SideFiles side_files, ReadSideFiles(directory));
  const TensorLookup find = [&](std::string_view name) { return checkpoint->Find(name); };
  AUTOMOT_ASSIGN_OR_RETURN(DerivedGeometry derived, DeriveGeometry(side_files, find));
  checkpoint->geometry_ = std::move(derived.geometry);
  AUTOMOT_RETURN_IF_ERROR(
      Joined(derived.sizes, CheckTensors(checkpoint->geometry_, checkpoint->sorted_, find)));
  AUTOMOT_RETURN_IF_ERROR(checkpoint->TakeHashes(options));
  AUTOMOT_RETURN_IF_ERROR(checkpoint->TieHead());
  checkpoint->revision_ =
      ComputeRevision(checkpoint->sorted_, checkpoint->hashes_, side_files.digest_input);
  return std::shared_ptr<const Checkpoint>(std::move(checkpoint));
}

absl::Status Checkpoint::OpenFiles(const CheckpointOptions& options) {
  AUTOMOT_ASSIGN_OR_RETURN(base_files_, OpenBaseFiles(directory_));
  for (const auto& file : base_files_) {
    AUTOMOT_RETURN_IF_ERROR(AddTensors(*file, /*replace=*/false));
  }
  if (options.use_ema) {
    AUTOMOT_ASSIGN_OR_RETURN(ema_file_, OpenEmaFile(directory_));
    AUTOMOT_RETURN_IF_ERROR(AddTensors(*ema_file_, /*replace=*/true));
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

absl::Status Checkpoint::TakeHashes(const CheckpointOptions& options) {
  if (options.use_manifest) {
    auto manifest = ReadManifest(directory_);
    if (manifest.ok()) {
      AUTOMOT_RETURN_IF_ERROR(CheckManifestNames(*manifest, base_files_, ema_file_.get()));
      hashes_ = std::move(manifest->tensors);
      if (ema_file_ == nullptr) return absl::OkStatus();
      for (auto& [name, hash] : manifest->ema_tensors) hashes_.insert_or_assign(name, hash);
      return absl::OkStatus();
    }
    if (!absl::IsNotFound(manifest.status())) return manifest.status();
  }
  std::vector<const SafetensorsFile*> files = {ema_file_.get()};
  for (const auto& file : base_files_) files.push_back(file.get());
  hashes_ = HashTensors(sorted_, files);
  return absl::OkStatus();
}

// A tied head that is stored is a copy: checked, then left out of tensors(), so that the revision
// does not depend on it.
absl::Status Checkpoint::TieHead() {
  if (!geometry_.text.tied) return absl::OkStatus();
  const TensorView* embedding = Find(kEmbeddingName);
  if (const TensorView* head = Find(kLmHeadName); head != nullptr) {
    if (head->dtype != embedding->dtype || hashes_[kLmHeadName] != hashes_[kEmbeddingName]) {
      return absl::InvalidArgumentError(
          Concat("checkpoint: config.json ties the embedding, but the stored ", kLmHeadName,
                 " differs from ", kEmbeddingName));
    }
    sorted_.erase(std::find(sorted_.begin(), sorted_.end(), head));
    by_name_.erase(kLmHeadName);
  }
  by_name_.emplace(kLmHeadName, embedding);
  return absl::OkStatus();
}

absl::Status Checkpoint::Read(
    const TensorView& tensor,
    absl::FunctionRef<void(absl::Span<const std::byte> piece)> sink) const {
  const SafetensorsFile* file = ema_file_.get();
  for (const auto& base : base_files_) {
    if (base->Holds(tensor.bytes)) file = base.get();
  }
  const auto expected = hashes_.find(tensor.name);
  if (file == nullptr || expected == hashes_.end()) {
    return absl::InternalError(Concat("tensor \"", tensor.name, "\" is not of this checkpoint"));
  }
  ContentHash hash;
  file->Stream(tensor.bytes, [&](absl::Span<const std::byte> piece) {
    hash.Update(piece);
    sink(piece);
  });
  if (const std::string found = hash.Hex(); found != expected->second) {
    return absl::DataLossError(Concat(
        file->path(), ": tensor \"", tensor.name, "\" has the hash ", found, ", the manifest says ",
        expected->second, "; if the change is meant, run automot-manifest ", directory_));
  }
  return absl::OkStatus();
}

const TensorView* Checkpoint::Find(std::string_view name) const {
  const auto it = by_name_.find(name);
  return it == by_name_.end() ? nullptr : it->second;
}

}  // namespace automot::model
