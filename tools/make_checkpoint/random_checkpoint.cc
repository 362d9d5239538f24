#include "tools/make_checkpoint/random_checkpoint.h"

#include <filesystem>
#include <memory>

#include "common/checkpoint/derive_geometry.h"
#include "common/checkpoint/json_file.h"
#include "common/checkpoint/layout.h"
#include "common/checkpoint/manifest.h"
#include "common/checkpoint/text.h"
#include "common/status/status_macros.h"
#include "tools/make_checkpoint/documents.h"
#include "tools/make_checkpoint/random_values.h"

namespace automot::model {
namespace {

namespace fs = std::filesystem;

// Weights that somebody trained are not overwritten by accident.
absl::Status CheckMayWrite(const RandomCheckpointOptions& options) {
  std::error_code ignored;
  const bool occupied = fs::exists(options.directory + "/model.safetensors", ignored) ||
                        fs::exists(options.directory + "/model.safetensors.index.json", ignored);
  if (!occupied || options.overwrite_trained) return absl::OkStatus();
  auto text = ReadTextFile(options.directory + "/automot_dims.json", size_t{4} << 20);
  if (text.ok() && text->find("random, untrained") != std::string::npos) return absl::OkStatus();
  return absl::FailedPreconditionError(
      Concat(options.directory,
             ": holds a checkpoint that is not marked untrained; it is not overwritten"));
}

absl::Status MakeDirectory(const std::string& directory) {
  std::error_code error;
  fs::create_directories(directory, error);
  if (error) return absl::UnavailableError(Concat(directory, ": cannot make: ", error.message()));
  return absl::OkStatus();
}

}  // namespace

absl::Status WriteRandomCheckpoint(const RandomCheckpointOptions& options) {
  if (options.dtype != DType::kF32 && options.dtype != DType::kBF16) {
    return absl::InvalidArgumentError(
        Concat("dtype ", DTypeName(options.dtype), " is not F32 or BF16"));
  }
  AUTOMOT_RETURN_IF_ERROR(ValidateGeometry(options.geometry));
  AUTOMOT_RETURN_IF_ERROR(CheckMayWrite(options));
  AUTOMOT_RETURN_IF_ERROR(MakeDirectory(options.directory));
  AUTOMOT_ASSIGN_OR_RETURN(const auto documents,
                           MakeDocuments(options.geometry, options.dtype == DType::kBF16));
  SafetensorsWriter writer;
  writer.SetMetadata("format", "pt");
  for (const ExpectedTensor& tensor : ExpectedTensors(options.geometry)) {
    if (tensor.optional && !options.store_lm_head) continue;
    const DType dtype = tensor.role == TensorRole::kCounter ? DType::kI64 : options.dtype;
    ExpectedTensor source = tensor;
    if (tensor.optional)
      source.name = kEmbeddingName, source.role = TensorRole::kEmbedding;  // the tied copy
    AUTOMOT_RETURN_IF_ERROR(
        writer.AddDeferred(tensor.name, dtype, tensor.shape,
                           [source, dtype, seed = options.seed]() -> SafetensorsWriter::Fill {
                             auto values = std::make_shared<RandomValues>(source, dtype, seed);
                             return [values](absl::Span<std::byte> piece) { values->Fill(piece); };
                           }));
  }
  std::error_code ignored;
  for (const char* name : {kManifestFile, "model.safetensors"}) {
    fs::remove(options.directory + "/" + name, ignored);
  }
  for (const auto& [name, text] : documents) {
    AUTOMOT_RETURN_IF_ERROR(WriteTextFile(options.directory + "/" + name, text));
  }
  CheckpointManifest manifest;
  AUTOMOT_RETURN_IF_ERROR(
      writer.Write(options.directory + "/model.safetensors", &manifest.tensors));
  return WriteManifest(options.directory, manifest);
}

int64_t CountValues(const ModelGeometry& geometry) {
  int64_t total = 0;
  for (const ExpectedTensor& tensor : ExpectedTensors(geometry)) {
    if (tensor.optional || tensor.role == TensorRole::kCounter) continue;
    int64_t values = 1;
    for (const int64_t dimension : tensor.shape) values *= dimension;
    total += values;
  }
  return total;
}

}  // namespace automot::model
