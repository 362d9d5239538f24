#include "tools/make_checkpoint/presets.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "common/checkpoint/derive_geometry.h"
#include "common/checkpoint/json_file.h"
#include "common/checkpoint/text.h"
#include "common/status/status_macros.h"
#include "tools/make_checkpoint/driving_tokenizer.h"

namespace automot::model {
namespace {

constexpr int64_t kMaxSize = int64_t{1} << 24;

void SetTrunks(BevGeometry& bev, int64_t stem, const std::array<int64_t, 4>& widths,
               const std::array<int64_t, 4>& depths, int64_t group_width) {
  for (RegNetGeometry* trunk : {&bev.image, &bev.lidar}) {
    trunk->stem_width = stem;
    for (size_t i = 0; i < 4; ++i) {
      trunk->stages[i].width = widths[i];
      trunk->stages[i].depth = depths[i];
      trunk->stages[i].group_width = group_width;
    }
  }
}

// What all presets share: counts that are contract, constants of the published configuration.
ModelGeometry Common() {
  ModelGeometry g;
  g.text.rms_eps = 1e-6;
  g.text.rope_theta = 5e6;
  g.vision.patch = 16;
  g.vision.temporal_patch = 2;
  g.vision.merge = 2;
  g.action.decision_tokens = 8;
  g.action.route_points = 20;
  g.action.waypoints = 6;
  g.action.future_speeds = 3;
  g.action.encoder_widths = {256, 512};
  g.action.head_widths = {512, 256};
  g.bev.fusion_mlp_ratio = 4;
  g.bev.lidar_rows = g.bev.lidar_cols = 256;
  g.bev.min_x = g.bev.min_y = -32;
  g.bev.max_x = g.bev.max_y = 32;
  g.bev.pixels_per_meter = 4;
  g.bev.hist_max_per_pixel = 5;
  g.bev.lidar_split_height = 0.2;
  g.bev.max_lidar_height = 100;
  g.preprocess.image_mean = g.preprocess.image_std = {0.5, 0.5, 0.5};
  g.preprocess.rescale_factor = 1.0 / 255.0;
  g.weights_trained = false;
  return g;
}

ModelGeometry Nano() {
  ModelGeometry g = Common();
  g.text.hidden = 160, g.text.layers = 6, g.text.heads = 8, g.text.kv_heads = 2,
  g.text.head_dim = 32;
  g.text.intermediate = 448, g.text.vocab = 0, g.text.mrope_section = {6, 5, 5};
  g.vision.depth = 4, g.vision.hidden = 96, g.vision.heads = 4, g.vision.intermediate = 256;
  g.vision.position_table_side = 16, g.vision.deepstack_layers = {0, 1, 2};
  g.action.heads = 4, g.action.kv_heads = 1, g.action.head_dim = 20, g.action.intermediate = 224;
  g.action.query_dim = 36;
  SetTrunks(g.bev, 8, {8, 32, 64, 96}, {1, 1, 2, 1}, 8);
  g.bev.fusion_heads = 4, g.bev.fusion_blocks = 2, g.bev.fpn_channels = 16;
  g.preprocess.resize_width = 256, g.preprocess.resize_height = 128;
  g.preprocess.camera_width = 256, g.preprocess.camera_height = 128;
  g.preprocess.crop_rows = 96, g.preprocess.crop_cols = 256;
  g.driving.target_point_rule = "route_distance:8,20";  // of the data it is trained on
  return g;
}

ModelGeometry Tiny() {
  ModelGeometry g = Common();
  g.text.hidden = 160, g.text.layers = 4, g.text.heads = 8, g.text.kv_heads = 2,
  g.text.head_dim = 32;
  g.text.intermediate = 320, g.text.vocab = 1024, g.text.mrope_section = {6, 5, 5};
  g.vision.depth = 4, g.vision.hidden = 32, g.vision.heads = 2, g.vision.intermediate = 64;
  g.vision.position_table_side = 8, g.vision.deepstack_layers = {0, 1, 2};
  g.action.heads = 4, g.action.kv_heads = 1, g.action.head_dim = 20, g.action.intermediate = 160;
  g.action.query_dim = 36;
  SetTrunks(g.bev, 8, {8, 16, 24, 48}, {1, 1, 2, 1}, 8);
  g.bev.fusion_heads = 2, g.bev.fusion_blocks = 1, g.bev.fpn_channels = 16;
  g.preprocess.resize_width = 96, g.preprocess.resize_height = 64;
  g.preprocess.camera_width = 128, g.preprocess.camera_height = 96;
  g.preprocess.crop_rows = 64, g.preprocess.crop_cols = 128;
  return g;
}

ModelGeometry PublishedShapes() {
  ModelGeometry g = Common();
  g.text.hidden = 2560, g.text.layers = 36, g.text.heads = 32, g.text.kv_heads = 8,
  g.text.head_dim = 128;
  g.text.intermediate = 9728, g.text.vocab = 151936, g.text.mrope_section = {24, 20, 20};
  g.vision.depth = 24, g.vision.hidden = 1024, g.vision.heads = 16, g.vision.intermediate = 4096;
  g.vision.position_table_side = 48, g.vision.deepstack_layers = {5, 11, 17};
  g.action.heads = 16, g.action.kv_heads = 4, g.action.head_dim = 80, g.action.intermediate = 4864;
  g.action.query_dim = 588;
  SetTrunks(g.bev, 32, {72, 216, 576, 1512}, {2, 5, 13, 1}, 24);
  g.bev.fusion_heads = 4, g.bev.fusion_blocks = 2, g.bev.fpn_channels = 64;
  g.preprocess.camera_width = 1024, g.preprocess.camera_height = 512;
  g.preprocess.crop_rows = 384, g.preprocess.crop_cols = 1024;
  g.tokens = {.im_start = 151644,
              .im_end = 151645,
              .vision_start = 151652,
              .vision_end = 151653,
              .image_pad = 151655};
  return g;
}

using Setter = std::function<void(ModelGeometry&, const std::vector<int64_t>&)>;
struct Field {
  std::string name;
  size_t count;  // 0: any number
  Setter set;
};

template <typename Part>
Field Size(std::string name, Part ModelGeometry::* part, int64_t Part::* member) {
  return {std::move(name), 1,
          [=](ModelGeometry& g, const std::vector<int64_t>& v) { g.*part.*member = v[0]; }};
}

Setter SetStages(int64_t RegNetStage::* member) {
  return [member](ModelGeometry& g, const std::vector<int64_t>& v) {
    for (size_t i = 0; i < 4; ++i) {
      g.bev.image.stages[i].*member = v[i];
      g.bev.lidar.stages[i].*member = v[i];
    }
  };
}

std::vector<Field> SizeFields() {
  using G = ModelGeometry;
  return {Size("text.hidden", &G::text, &TextGeometry::hidden),
          Size("text.layers", &G::text, &TextGeometry::layers),
          Size("text.heads", &G::text, &TextGeometry::heads),
          Size("text.kv_heads", &G::text, &TextGeometry::kv_heads),
          Size("text.head_dim", &G::text, &TextGeometry::head_dim),
          Size("text.intermediate", &G::text, &TextGeometry::intermediate),
          Size("text.vocab", &G::text, &TextGeometry::vocab),
          Size("vision.depth", &G::vision, &VisionGeometry::depth),
          Size("vision.hidden", &G::vision, &VisionGeometry::hidden),
          Size("vision.heads", &G::vision, &VisionGeometry::heads),
          Size("vision.intermediate", &G::vision, &VisionGeometry::intermediate),
          Size("vision.patch", &G::vision, &VisionGeometry::patch),
          Size("vision.temporal_patch", &G::vision, &VisionGeometry::temporal_patch),
          Size("vision.merge", &G::vision, &VisionGeometry::merge),
          Size("vision.position_table_side", &G::vision, &VisionGeometry::position_table_side),
          Size("action.heads", &G::action, &ActionGeometry::heads),
          Size("action.kv_heads", &G::action, &ActionGeometry::kv_heads),
          Size("action.head_dim", &G::action, &ActionGeometry::head_dim),
          Size("action.intermediate", &G::action, &ActionGeometry::intermediate),
          Size("action.query_dim", &G::action, &ActionGeometry::query_dim),
          Size("bev.fusion_heads", &G::bev, &BevGeometry::fusion_heads),
          Size("bev.fusion_blocks", &G::bev, &BevGeometry::fusion_blocks),
          Size("bev.fusion_mlp_ratio", &G::bev, &BevGeometry::fusion_mlp_ratio),
          Size("bev.fpn_channels", &G::bev, &BevGeometry::fpn_channels),
          Size("preprocess.resize_width", &G::preprocess, &PreprocessGeometry::resize_width),
          Size("preprocess.resize_height", &G::preprocess, &PreprocessGeometry::resize_height),
          Size("preprocess.camera_width", &G::preprocess, &PreprocessGeometry::camera_width),
          Size("preprocess.camera_height", &G::preprocess, &PreprocessGeometry::camera_height),
          Size("preprocess.crop_rows", &G::preprocess, &PreprocessGeometry::crop_rows),
          Size("preprocess.crop_cols", &G::preprocess, &PreprocessGeometry::crop_cols)};
}

std::vector<Field> Fields() {
  std::vector<Field> fields = SizeFields();
  fields.push_back({"text.mrope_section", 3, [](ModelGeometry& g, const std::vector<int64_t>& v) {
                      for (size_t i = 0; i < 3; ++i)
                        g.text.mrope_section[i] = static_cast<int>(v[i]);
                    }});
  fields.push_back(
      {"vision.deepstack_layers", 0, [](ModelGeometry& g, const std::vector<int64_t>& v) {
         g.vision.deepstack_layers.assign(v.begin(), v.end());
       }});
  fields.push_back({"bev.stem_width", 1, [](ModelGeometry& g, const std::vector<int64_t>& v) {
                      g.bev.image.stem_width = g.bev.lidar.stem_width = v[0];
                    }});
  fields.push_back({"bev.group_width", 1, [](ModelGeometry& g, const std::vector<int64_t>& v) {
                      SetStages (&RegNetStage::group_width)(g, std::vector<int64_t>(4, v[0]));
                    }});
  fields.push_back({"bev.widths", 4, SetStages(&RegNetStage::width)});
  fields.push_back({"bev.depths", 4, SetStages(&RegNetStage::depth)});
  return fields;
}

absl::Status ApplyNode(ModelGeometry& geometry, const nlohmann::json& node,
                       const std::string& name) {
  if (node.is_object()) {
    for (const auto& [key, value] : node.items()) {
      AUTOMOT_RETURN_IF_ERROR(
          ApplyNode(geometry, value, name.empty() ? key : Concat(name, ".", key)));
    }
    return absl::OkStatus();
  }
  std::vector<int64_t> values;
  for (const auto& item : node.is_array() ? node : nlohmann::json::array({node})) {
    if (!item.is_number_integer())
      return absl::InvalidArgumentError(Concat("geometry: ", name, " is not a whole number"));
    values.push_back(item.get<int64_t>());
  }
  return SetGeometryField(geometry, name, values);
}

void CompleteTrunk(RegNetGeometry& trunk) {
  int64_t in = trunk.stem_width;
  for (RegNetStage& stage : trunk.stages) {
    stage.se_channels.clear();
    for (int64_t b = 0; b < stage.depth; ++b) {
      stage.se_channels.push_back(
          std::max<int64_t>(1, std::llround(0.25 * static_cast<double>(in))));
      in = stage.width;
    }
  }
}

void CompleteBev(ModelGeometry& g) {
  BevGeometry& b = g.bev;
  b.image.in_channels = 3;
  b.lidar.in_channels = b.use_ground_plane ? 2 : 1;
  CompleteTrunk(b.image);
  CompleteTrunk(b.lidar);
  b.image_rows = g.preprocess.crop_rows;
  b.image_cols = g.preprocess.crop_cols;
  b.image_grid_rows = b.image_rows / 32;
  b.image_grid_cols = b.image_cols / 32;
  b.lidar_grid_rows = b.lidar_rows / 32;
  b.lidar_grid_cols = b.lidar_cols / 32;
  b.feature_channels = b.lidar.stages[3].width;
}

}  // namespace

absl::StatusOr<ModelGeometry> PresetGeometry(std::string_view name) {
  ModelGeometry geometry;
  if (name == "nano")
    geometry = Nano();
  else if (name == "tiny")
    geometry = Tiny();
  else if (name == "published")
    geometry = PublishedShapes();
  else
    return absl::InvalidArgumentError(
        Concat("preset \"", name, "\" is not nano, tiny or published"));
  AUTOMOT_RETURN_IF_ERROR(CompleteGeometry(geometry));
  return geometry;
}

absl::Status SetGeometryField(ModelGeometry& geometry, std::string_view name,
                              const std::vector<int64_t>& values) {
  for (const Field& field : Fields()) {
    if (field.name != name) continue;
    if (values.empty() || values.size() > 64 ||
        (field.count != 0 && values.size() != field.count)) {
      return absl::InvalidArgumentError(Concat("geometry: ", name, " needs ", field.count,
                                               " value(s), ", values.size(), " given"));
    }
    for (const int64_t value : values) {
      if (value < 0 || value > kMaxSize) {
        return absl::InvalidArgumentError(
            Concat("geometry: ", name, ": ", value, " is outside [0, ", kMaxSize, "]"));
      }
    }
    field.set(geometry, values);
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      Concat("geometry: unknown size \"", name, "\"; known are:\n", GeometryFieldNames()));
}

std::string GeometryFieldNames() {
  std::string names;
  for (const Field& field : Fields()) Append(&names, "  ", field.name, "\n");
  return names;
}

absl::Status ApplyGeometryJson(ModelGeometry& geometry, std::string_view json) {
  AUTOMOT_ASSIGN_OR_RETURN(const nlohmann::json document, ParseJson(json, "geometry file"));
  return ApplyNode(geometry, document, "");
}

absl::Status CompleteGeometry(ModelGeometry& g) {
  g.vision.out_hidden = g.text.hidden;
  g.action.hidden = g.text.hidden;
  g.action.layers = g.text.layers;
  g.action.rms_eps = g.text.rms_eps;
  // The published lower limit, or less where frames are smaller.
  g.preprocess.min_pixels =
      std::min<int64_t>(65536, g.preprocess.resize_width * g.preprocess.resize_height);
  AUTOMOT_RETURN_IF_ERROR(ApplySizeRule(g));
  CompleteBev(g);
  g.action.bev_tokens = g.bev.lidar_tokens();
  AUTOMOT_ASSIGN_OR_RETURN(const DrivingTokenizer tokenizer,
                           MakeDrivingTokenizer(g.tokens.im_start));
  g.tokens = tokenizer.ids;
  if (g.text.vocab == 0) g.text.vocab = (tokenizer.size + 63) / 64 * 64;
  if (tokenizer.size > g.text.vocab) {
    return absl::InvalidArgumentError(Concat("geometry: text.vocab ", g.text.vocab,
                                             " is less than the tokenizer's ", tokenizer.size));
  }
  return ValidateGeometry(g);
}

}  // namespace automot::model
