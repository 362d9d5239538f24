// A checkpoint directory in the official layout (spec 6), opened, checked against its own geometry,
// and digested.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/checkpoint/checkpoint_files.h"
#include "common/checkpoint/geometry.h"
#include "common/checkpoint/safetensors.h"

namespace automot::model {

struct CheckpointOptions {
  bool use_ema = false;      // take tensors from ema.safetensors where it has them
  bool use_manifest = true;  // believe automot_manifest.json where there is one
};

// Immutable after Open: any number of threads may read it. Tensor views stay valid while the
// Checkpoint lives; the shared_ptr is what keeps the mapping alive, so a holder of views holds the
// pointer too.
//
// Names are canonical: the infix `bev_encoder.backbone.` is dropped.
// `language_model.lm_head.weight` is always found when the embedding is tied: it is the embedding
// where the file does not store it.
class Checkpoint {
 public:
  // Opens model.safetensors, or the shards that model.safetensors.index.json names. NOT_FOUND for a
  // missing file, INVALID_ARGUMENT for hostile or contradictory content. Every unexpected, missing,
  // mis-shaped or mistyped tensor is an error, and one message lists them all.
  //
  // With automot_manifest.json, no tensor is read here: Read compares what is loaded. Without it,
  // every byte is read once, for the revision; that takes long enough to be logged (ByteProgress).
  static absl::StatusOr<std::shared_ptr<const Checkpoint>> Open(
      const std::string& directory, const CheckpointOptions& options = {});

  // Hands the bytes of `tensor`, one of this checkpoint's, to `sink` in pieces as
  // SafetensorsFile::Stream does. DATA_LOSS, after the last piece, when they are not those that the
  // revision was made of. Thread-safe.
  absl::Status Read(const TensorView& tensor,
                    absl::FunctionRef<void(absl::Span<const std::byte> piece)> sink) const;

  // Null when there is no tensor of that canonical name.
  const TensorView* Find(std::string_view name) const;
  // Canonical names, sorted; a tied lm_head is not among them, stored or not.
  const std::vector<const TensorView*>& tensors() const { return sorted_; }

  const ModelGeometry& geometry() const { return geometry_; }
  // 32 hex digits: XXH3-128 over the sorted manifest of (name, dtype, shape, hash of bytes) and the
  // side files. The same for a single file and for shards.
  std::string_view revision() const { return revision_; }
  const std::string& directory() const { return directory_; }
  std::string tokenizer_path() const { return directory_ + "/tokenizer.json"; }

 private:
  Checkpoint() = default;
  absl::Status OpenFiles(const CheckpointOptions& options);
  absl::Status AddTensors(const SafetensorsFile& file, bool replace);
  absl::Status TakeHashes(const CheckpointOptions& options);
  absl::Status TieHead();

  std::string directory_;
  TensorFiles base_files_;
  std::unique_ptr<SafetensorsFile> ema_file_;       // null unless asked for
  std::vector<std::unique_ptr<TensorView>> views_;  // canonical names
  std::vector<const TensorView*> sorted_;
  std::unordered_map<std::string_view, const TensorView*> by_name_;
  ModelGeometry geometry_;
  TensorHashes hashes_;  // of sorted_, and of a stored tied head
  std::string revision_;
};

}  // namespace automot::model
