// Vision tower of the understanding expert: patches of one camera frame to language-model
// embeddings and deepstack features (spec 2.3). Frames do not see each other, so a service may
// cache by frame.
#pragma once

#include <ATen/ATen.h>

#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "common/model/packed_linear.h"
#include "common/model/prompt_sequence.h"
#include "common/model/rotary.h"
#include "common/model/weights.h"

namespace automot::model {

// What the tower makes of one image. Immutable by convention, shareable between threads.
struct ImageFeature {
  ImageGrid grid;                     // merged tokens
  at::Tensor embeds;                  // [tokens, text hidden], model dtype, model device
  std::vector<at::Tensor> deepstack;  // one per tap, each [tokens, text hidden]
};

// Immutable after Load: any number of threads may encode.
class VisionTower {
 public:
  // NOT_FOUND naming a missing tensor.
  static absl::StatusOr<std::unique_ptr<VisionTower>> Load(WeightSource& reader);

  // patches: `[images * rows * cols, 3 * temporal * patch * patch]`, float32, normalised intensity,
  // merge-block order, image-major; all images share one grid of `rows` x `cols` patches.
  // Shapes are the caller's duty (UnderstandingModel checks them).
  std::vector<ImageFeature> Encode(const at::Tensor& patches, int64_t rows, int64_t cols) const;

 private:
  struct Block {
    at::Tensor norm1_weight, norm1_bias, norm2_weight, norm2_bias;
    PackedLinear qkv, proj, fc1, fc2;
  };
  struct Merger {
    at::Tensor norm_weight, norm_bias;
    PackedLinear fc1, fc2;
    bool norm_after_grouping = false;
  };
  // What depends on the grid only.
  struct GridTables {
    at::Tensor position_embedding;  // [rows * cols, hidden]
    RotaryTable rotary;             // float32
  };

  VisionTower(const VisionGeometry& vision, const ModelOptions& options)
      : vision_(vision), options_(options) {}
  void LoadBlocks(WeightSource& reader);
  static Merger LoadMerger(WeightSource& reader, const std::string& prefix, bool after_grouping);
  GridTables MakeTables(int64_t rows, int64_t cols) const;
  // Returns what the block makes of x: `[images * tokens, hidden]` both.
  at::Tensor RunBlock(const Block& block, const RotaryTable& rotary, int64_t images,
                      const at::Tensor& x) const;
  at::Tensor Merge(const Merger& merger, const at::Tensor& x) const;

  VisionGeometry vision_;
  ModelOptions options_;
  PackedLinear patch_;
  at::Tensor position_table_;
  std::vector<Block> blocks_;
  Merger merger_;
  std::vector<Merger> deepstack_mergers_;
  // Tables of the checkpoint's own frame size; other grids are computed when they come.
  std::pair<int64_t, int64_t> default_grid_{0, 0};
  GridTables default_tables_;
};

}  // namespace automot::model
