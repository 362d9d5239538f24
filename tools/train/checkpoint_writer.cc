#include "tools/train/checkpoint_writer.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/checkpoint/json_file.h"
#include "common/checkpoint/manifest.h"
#include "common/model/weights.h"
#include "common/status/status_macros.h"

namespace automot::train {
namespace {

namespace fs = std::filesystem;
using model::DType;

constexpr size_t kMaxDocumentBytes = size_t{256} << 20;

absl::Status WriteTensors(const std::string& path, const TensorMap& tensors, DType floats,
                          const std::map<std::string, std::string>& metadata,
                          model::TensorHashes* hashes) {
  model::SafetensorsWriter writer;
  writer.SetMetadata("format", "pt");
  for (const auto& [key, value] : metadata) writer.SetMetadata(key, value);
  std::vector<at::Tensor> kept;  // until the file is written
  for (const auto& [name, tensor] : tensors) {
    const bool counter = !at::isFloatingType(tensor.scalar_type());
    const DType dtype = counter ? DType::kI64 : floats;
    kept.push_back(tensor.detach().to(at::kCPU, model::ToScalarType(dtype)).contiguous());
    const at::Tensor& stored = kept.back();
    AUTOMOT_RETURN_IF_ERROR(
        writer.Add(name, dtype, stored.sizes().vec(),
                   {static_cast<const std::byte*>(stored.const_data_ptr()), stored.nbytes()}));
  }
  return writer.Write(path, hashes);
}

// Configs and tokenizer; what they say of the weights is brought up to date.
absl::Status CopyDocuments(const TrainedCheckpoint& checkpoint, const std::string& directory) {
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(checkpoint.documents, error)) {
    const std::string name = entry.path().filename();
    if (entry.path().extension() != ".json" || name == model::kManifestFile ||
        name == "model.safetensors.index.json") {
      continue;
    }
    AUTOMOT_ASSIGN_OR_RETURN(std::string text,
                             model::ReadTextFile(entry.path(), kMaxDocumentBytes));
    if (name == "automot_dims.json") {
      AUTOMOT_ASSIGN_OR_RETURN(nlohmann::json dims, model::ParseJson(text, name));
      dims["weights_note"] = checkpoint.weights_note;
      text = dims.dump(1) + "\n";
    }
    AUTOMOT_RETURN_IF_ERROR(model::WriteTextFile(absl::StrCat(directory, "/", name), text));
  }
  if (error) return absl::NotFoundError(absl::StrCat(checkpoint.documents, ": ", error.message()));
  return absl::OkStatus();
}

absl::Status WriteInto(const TrainedCheckpoint& checkpoint, const std::string& directory) {
  AUTOMOT_RETURN_IF_ERROR(CopyDocuments(checkpoint, directory));
  model::CheckpointManifest manifest;
  AUTOMOT_RETURN_IF_ERROR(WriteTensors(directory + "/model.safetensors", checkpoint.tensors,
                                       checkpoint.dtype, {}, &manifest.tensors));
  if (!checkpoint.average.empty()) {
    AUTOMOT_RETURN_IF_ERROR(WriteTensors(directory + "/ema.safetensors", checkpoint.average,
                                         checkpoint.dtype, {}, &manifest.ema_tensors));
  }
  if (!checkpoint.state.empty()) {
    AUTOMOT_RETURN_IF_ERROR(WriteTensors(absl::StrCat(directory, "/", kStateFile), checkpoint.state,
                                         DType::kF32, checkpoint.state_metadata, nullptr));
  }
  return model::WriteManifest(directory, manifest);
}

absl::Status Exchange(const std::string& fresh, const std::string& directory) {
  const unsigned int flags = fs::exists(directory) ? RENAME_EXCHANGE : 0;
  if (renameat2(AT_FDCWD, fresh.c_str(), AT_FDCWD, directory.c_str(), flags) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat(directory, ": cannot put the checkpoint there"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status WriteTrainedCheckpoint(const TrainedCheckpoint& checkpoint,
                                    const std::string& directory) {
  const std::string fresh = absl::StrCat(directory, ".writing");
  std::error_code error;
  fs::remove_all(fresh, error);
  fs::create_directories(fresh, error);
  if (error) return absl::UnavailableError(absl::StrCat(fresh, ": ", error.message()));
  absl::Status status = WriteInto(checkpoint, fresh);
  if (status.ok()) status = Exchange(fresh, directory);
  fs::remove_all(fresh, error);  // the old one, or what was not finished
  return status;
}

absl::StatusOr<StoredState> ReadTrainingState(const std::string& checkpoint_directory) {
  AUTOMOT_ASSIGN_OR_RETURN(const auto file, model::SafetensorsFile::Open(absl::StrCat(
                                                checkpoint_directory, "/", kStateFile)));
  StoredState state{.metadata = file->metadata()};
  for (const model::TensorView& view : file->tensors()) {
    state.tensors[view.name] = model::CopyToTensor(view);
  }
  return state;
}

}  // namespace automot::train
