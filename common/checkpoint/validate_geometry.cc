#include <cmath>

#include "common/checkpoint/derive_geometry.h"
#include "common/checkpoint/text.h"
#include "common/status/status_macros.h"

namespace automot::model {
namespace {

// First broken relation wins; the text names both sides.
class Relations {
 public:
  template <typename... Parts>
  void Need(bool holds, const Parts&... parts) {
    if (!holds && status_.ok())
      status_ = absl::InvalidArgumentError(Concat("geometry: ", parts...));
  }
  void Divides(std::string_view what, int64_t value, std::string_view by, int64_t divisor) {
    Need(divisor > 0 && value > 0 && value % divisor == 0, what, " ", value,
         " is not a positive multiple of ", by, " ", divisor);
  }
  const absl::Status& status() const { return status_; }

 private:
  absl::Status status_;
};

void CheckText(const TextGeometry& t, Relations& r) {
  r.Divides("text heads", t.heads, "kv heads", t.kv_heads);
  r.Divides("text head_dim", t.head_dim, "the rotary pair", 2);
  const int64_t sum = int64_t{t.mrope_section[0]} + t.mrope_section[1] + t.mrope_section[2];
  r.Need(sum == t.head_dim / 2,
         "mrope_section needs three numbers that sum to head_dim / 2 = ", t.head_dim / 2, ", not ",
         sum);
  // Axis h takes frequencies 1, 4, 7, ... and axis w 2, 5, 8, ...; three times their count must
  // fit.
  const int64_t widest = 3 * int64_t{std::max(t.mrope_section[1], t.mrope_section[2])};
  r.Need(widest <= t.head_dim / 2 + 2, "mrope_section of h or w exceeds a third of head_dim / 2");
}

void CheckVision(const ModelGeometry& g, Relations& r) {
  const VisionGeometry& v = g.vision;
  r.Divides("vision hidden", v.hidden, "heads", v.heads);
  r.Divides("vision head_dim", v.heads > 0 ? v.hidden / v.heads : 0, "the 2-D rotary group", 4);
  r.Need(v.position_table_side > 0, "vision num_position_embeddings is not a square");
  r.Need(v.out_hidden == g.text.hidden, "vision out_hidden ", v.out_hidden,
         " differs from text hidden ", g.text.hidden);
  r.Need(static_cast<int64_t>(v.deepstack_layers.size()) <= g.text.layers,
         "more deepstack taps than text layers ", g.text.layers);
  int previous = -1;
  for (const int layer : v.deepstack_layers) {
    r.Need(layer > previous && layer < v.depth, "deepstack layer ", layer,
           " is not ascending and below depth ", v.depth);
    previous = layer;
  }
  const int64_t cell = v.patch * v.merge;
  r.Divides("frame width", g.preprocess.frame_width, "patch x merge", cell);
  r.Divides("frame height", g.preprocess.frame_height, "patch x merge", cell);
}

void CheckAction(const ModelGeometry& g, Relations& r) {
  const ActionGeometry& a = g.action;
  r.Need(a.hidden == g.text.hidden, "action hidden ", a.hidden, " differs from text hidden ",
         g.text.hidden);
  r.Need(a.head_dim <= g.text.head_dim, "action head_dim ", a.head_dim, " exceeds text head_dim ",
         g.text.head_dim);
  r.Need(a.heads > 0 && a.kv_heads > 0, "action heads ", a.heads, " and kv heads ", a.kv_heads,
         " must be positive");
  r.Need(a.kv_heads <= g.text.kv_heads, "action kv heads ", a.kv_heads, " exceed text kv heads ",
         g.text.kv_heads);
  // One repetition factor serves the context's and the action expert's own keys (spec 3.4).
  r.Need(a.heads * g.text.kv_heads == g.text.heads * a.kv_heads, "action group ", a.heads, "/",
         a.kv_heads, " differs from text group ", g.text.heads, "/", g.text.kv_heads);
}

void CheckTrunk(const RegNetGeometry& trunk, std::string_view name, Relations& r) {
  for (const RegNetStage& stage : trunk.stages) {
    r.Divides(Concat(name, " stage width"), stage.width, "group width", stage.group_width);
    r.Need(stage.depth >= 1, name, " stage without blocks");
  }
}

void CheckBev(const ModelGeometry& g, Relations& r) {
  const BevGeometry& b = g.bev;
  CheckTrunk(b.image, "image encoder", r);
  CheckTrunk(b.lidar, "lidar encoder", r);
  const int64_t lidar_channels = b.use_ground_plane ? 2 : 1;
  r.Need(b.image.in_channels == 3, "image encoder takes ", b.image.in_channels, " channels, not 3");
  r.Need(b.lidar.in_channels == lidar_channels, "lidar encoder takes ", b.lidar.in_channels,
         " channels, not ", lidar_channels);
  for (const RegNetStage& stage : b.image.stages) {
    r.Divides("fusion width", stage.width, "fusion heads", b.fusion_heads);
  }
  r.Need(b.fusion_blocks >= 1, "fusion transformers without blocks");
  r.Need(b.max_x > b.min_x && b.max_y > b.min_y, "LiDAR range is empty");
  r.Need(std::llround((b.max_x - b.min_x) * b.pixels_per_meter) == b.lidar_cols,
         "LiDAR x range times ", b.pixels_per_meter, " pixels per metre is not ", b.lidar_cols,
         " columns");
  r.Need(std::llround((b.max_y - b.min_y) * b.pixels_per_meter) == b.lidar_rows,
         "LiDAR y range times ", b.pixels_per_meter, " pixels per metre is not ", b.lidar_rows,
         " rows");
  const int64_t last_rows = (b.lidar_rows + 31) / 32, last_cols = (b.lidar_cols + 31) / 32;
  r.Need(last_rows == b.lidar_grid_rows && last_cols == b.lidar_grid_cols, "LiDAR grid ",
         b.lidar_grid_rows, "x", b.lidar_grid_cols, " is not the last stage's ", last_rows, "x",
         last_cols);
  r.Need(g.preprocess.crop_rows <= g.preprocess.camera_height &&
             g.preprocess.crop_cols <= g.preprocess.camera_width,
         "crop ", g.preprocess.crop_cols, "x", g.preprocess.crop_rows, " exceeds the camera ",
         g.preprocess.camera_width, "x", g.preprocess.camera_height);
}

void CheckTokens(const ModelGeometry& g, Relations& r) {
  for (const int64_t id : {g.tokens.im_start, g.tokens.im_end, g.tokens.vision_start,
                           g.tokens.vision_end, g.tokens.image_pad}) {
    r.Need(id >= 0 && id < g.text.vocab, "token id ", id, " is outside the vocabulary of ",
           g.text.vocab);
  }
  r.Need(!g.driving.lexicon.empty() && g.driving.lexicon.size() <= 64, "lexicon has ",
         g.driving.lexicon.size(), " phrases; 1 to 64 are supported");
  r.Need(g.driving.decision_offsets_s.size() == 3, "decision_offsets_s has ",
         g.driving.decision_offsets_s.size(), " entries, not 3");
}

}  // namespace

absl::Status ValidateGeometry(const ModelGeometry& geometry) {
  Relations r;
  CheckText(geometry.text, r);
  CheckVision(geometry, r);
  CheckAction(geometry, r);
  CheckBev(geometry, r);
  CheckTokens(geometry, r);
  for (const double value : geometry.preprocess.image_std)
    r.Need(value > 0, "image_mean and image_std need 3 numbers");
  return r.status();
}

}  // namespace automot::model
