#include "common/checkpoint/derive_geometry.h"

#include <cmath>

#include "absl/strings/match.h"
#include "common/checkpoint/json_file.h"
#include "common/checkpoint/text.h"
#include "common/status/status_macros.h"

namespace automot::model {
namespace {

constexpr size_t kMaxConfigBytes = size_t{4} << 20;
constexpr size_t kMaxTokenizerBytes = size_t{64} << 20;
constexpr int64_t kMaxLayers = 1024;
constexpr int64_t kMaxPixels = 16384;
constexpr double kHuge = 1e12;

// Sizes out of tensor shapes; keeps the first error, like JsonFields.
class Shapes {
 public:
  explicit Shapes(const TensorLookup& find) : find_(find) {}

  int64_t Dim(std::string_view name, size_t axis, size_t rank) {
    const TensorView* tensor = find_(name);
    if (tensor == nullptr) return Fail(Concat("tensor \"", name, "\" is missing"));
    if (tensor->shape.size() != rank || tensor->shape[axis] < 1 ||
        tensor->shape[axis] > (1 << 24)) {
      return Fail(Concat("tensor \"", name, "\" has shape ", ShapeText(tensor->shape), ", rank ",
                         rank, " with sizes of 1 to 2^24 is needed"));
    }
    return tensor->shape[axis];
  }
  int64_t Count(const std::function<std::string(int64_t)>& name, int64_t limit) const {
    int64_t n = 0;
    while (n < limit && find_(name(n)) != nullptr) ++n;
    return n;
  }
  const absl::Status& status() const { return status_; }

 private:
  int64_t Fail(std::string what) {
    if (status_.ok()) status_ = absl::InvalidArgumentError(what);
    return 1;
  }

  const TensorLookup& find_;
  absl::Status status_;
};

TextGeometry ReadText(JsonFields& f) {
  TextGeometry t;
  t.hidden = f.Int("text_config.hidden_size");
  t.layers = f.Int("text_config.num_hidden_layers", 1, kMaxLayers);
  t.heads = f.Int("text_config.num_attention_heads", 1, 4096);
  t.kv_heads = f.Int("text_config.num_key_value_heads", 1, 4096);
  t.head_dim = f.IntOr("text_config.head_dim", t.hidden / t.heads, 2, 4096);
  t.intermediate = f.Int("text_config.intermediate_size");
  t.vocab = f.Int("text_config.vocab_size");
  t.rms_eps = f.Double("text_config.rms_norm_eps", 1e-12, 1e-2);
  // Older exporters keep theta beside rope_scaling, newer ones put both into rope_parameters.
  const std::string rope = f.Has("text_config.rope_scaling") ? "text_config.rope_scaling"
                                                             : "text_config.rope_parameters";
  t.rope_theta = f.Double(
      f.Has("text_config.rope_theta") ? "text_config.rope_theta" : rope + ".rope_theta", 1, kHuge);
  const auto section = f.Ints(rope + ".mrope_section", 0, 4096);
  for (size_t i = 0; i < section.size() && i < 3; ++i)
    t.mrope_section[i] = static_cast<int>(section[i]);
  if (section.size() != 3) t.mrope_section = {};  // refused by ValidateGeometry
  t.tied = f.BoolOr("tie_word_embeddings", f.BoolOr("text_config.tie_word_embeddings", true));
  f.OnlyText(rope + ".rope_type", "default");
  f.OnlyBool(rope + ".mrope_interleaved", true);
  f.OnlyText("text_config.hidden_act", "silu");
  f.OnlyBool("text_config.attention_bias", false);
  return t;
}

VisionGeometry ReadVision(JsonFields& f) {
  VisionGeometry v;
  v.depth = f.Int("vision_config.depth", 1, kMaxLayers);
  v.hidden = f.Int("vision_config.hidden_size");
  v.heads = f.Int("vision_config.num_heads", 1, 4096);
  v.intermediate = f.Int("vision_config.intermediate_size");
  v.in_channels = f.IntOr("vision_config.in_channels", 3, 3, 3);
  v.patch = f.Int("vision_config.patch_size", 1, 256);
  v.temporal_patch = f.Int("vision_config.temporal_patch_size", 1, 16);
  v.merge = f.Int("vision_config.spatial_merge_size", 1, 16);
  v.out_hidden = f.Int("vision_config.out_hidden_size");
  const int64_t positions = f.Int("vision_config.num_position_embeddings");
  v.position_table_side = std::llround(std::sqrt(static_cast<double>(positions)));
  if (v.position_table_side * v.position_table_side != positions) v.position_table_side = 0;
  for (const int64_t layer : f.Ints("vision_config.deepstack_visual_indexes", 0, kMaxLayers)) {
    v.deepstack_layers.push_back(static_cast<int>(layer));
  }
  f.OnlyText("vision_config.hidden_act", "gelu_pytorch_tanh");
  return v;
}

ActionGeometry ReadAction(Shapes& s, const TextGeometry& text, const BevGeometry& bev) {
  ActionGeometry a;
  const std::string layer = "language_model.model.layers.0.";
  a.layers = text.layers;
  a.rms_eps = text.rms_eps;
  a.hidden = s.Dim("bev_encoder_proj.weight", 0, 2);
  a.head_dim = s.Dim(layer + "self_attn.q_norm_mot_gen.weight", 0, 1);
  a.heads = s.Dim(layer + "self_attn.q_proj_mot_gen.weight", 0, 2) / a.head_dim;
  a.kv_heads = s.Dim(layer + "self_attn.k_proj_mot_gen.weight", 0, 2) / a.head_dim;
  a.intermediate = s.Dim(layer + "mlp_mot_gen.gate_proj.weight", 0, 2);
  a.query_dim = s.Dim("reasoning_queries.weight", 1, 2);
  a.bev_tokens = bev.lidar_tokens();
  a.decision_tokens = s.Dim("reasoning_queries.weight", 0, 2);
  a.route_points = s.Dim("route_queries.weight", 0, 2);
  a.waypoints = s.Dim("waypoint_queries.weight", 0, 2);
  a.future_speeds = s.Dim("velocity_head.2.weight", 0, 2);
  a.encoder_widths = {s.Dim("velocity_encoder.0.weight", 0, 2),
                      s.Dim("velocity_encoder.2.weight", 0, 2)};
  a.head_widths = {s.Dim("route_head.mlp.0.weight", 0, 2), s.Dim("route_head.mlp.2.weight", 0, 2)};
  return a;
}

RegNetGeometry ReadTrunk(Shapes& s, const std::string& trunk) {
  RegNetGeometry r;
  r.stem_width = s.Dim(trunk + "stem.conv.weight", 0, 4);
  r.in_channels = s.Dim(trunk + "stem.conv.weight", 1, 4);
  for (size_t i = 0; i < r.stages.size(); ++i) {
    const std::string stage = Concat(trunk, "s", i + 1, ".b");
    RegNetStage& out = r.stages[i];
    out.width = s.Dim(stage + "1.conv2.conv.weight", 0, 4);
    out.group_width = s.Dim(stage + "1.conv2.conv.weight", 1, 4);
    out.depth =
        s.Count([&](int64_t b) { return Concat(stage, b + 1, ".conv1.conv.weight"); }, kMaxLayers);
    for (int64_t b = 0; b < out.depth; ++b) {
      out.se_channels.push_back(s.Dim(Concat(stage, b + 1, ".se.fc1.weight"), 0, 4));
    }
  }
  return r;
}

// Values that a published bev_config.json may omit are those of the published configuration class.
void ReadBevConfig(JsonFields& f, BevGeometry& g, PreprocessGeometry& p) {
  p.camera_width = f.IntOr("camera_width", 1024, 1, kMaxPixels);
  p.camera_height = f.IntOr("camera_height", 512, 1, kMaxPixels);
  const bool crop = f.BoolOr("crop_image", true);
  p.crop_rows = crop ? f.IntOr("cropped_height", 384, 1, kMaxPixels) : p.camera_height;
  p.crop_cols = crop ? f.IntOr("cropped_width", p.camera_width, 1, kMaxPixels) : p.camera_width;
  g.image_rows = p.crop_rows;
  g.image_cols = p.crop_cols;
  g.image_grid_rows = f.IntOr("img_vert_anchors", p.crop_rows / 32, 1, 1024);
  g.image_grid_cols = f.IntOr("img_horz_anchors", p.crop_cols / 32, 1, 1024);
  g.lidar_rows = f.IntOr("lidar_resolution_height", 256, 1, kMaxPixels);
  g.lidar_cols = f.IntOr("lidar_resolution_width", 256, 1, kMaxPixels);
  g.lidar_grid_rows = f.IntOr("lidar_vert_anchors", g.lidar_rows / 32, 1, 1024);
  g.lidar_grid_cols = f.IntOr("lidar_horz_anchors", g.lidar_cols / 32, 1, 1024);
  g.fusion_heads = f.IntOr("n_head", 4, 1, 1024);
  g.fusion_mlp_ratio = f.IntOr("block_exp", 4, 1, 64);
  g.min_x = f.DoubleOr("min_x", -32, -1e4, 1e4);
  g.max_x = f.DoubleOr("max_x", 32, -1e4, 1e4);
  g.min_y = f.DoubleOr("min_y", -32, -1e4, 1e4);
  g.max_y = f.DoubleOr("max_y", 32, -1e4, 1e4);
  g.pixels_per_meter = f.DoubleOr("pixels_per_meter", 4, 1e-3, 1e3);
  g.hist_max_per_pixel = f.IntOr("hist_max_per_pixel", 5, 1, 255);
  g.lidar_split_height = f.DoubleOr("lidar_split_height", 0.2, -1e4, 1e4);
  g.max_lidar_height = f.DoubleOr("max_height_lidar", 100, -1e4, 1e4);
  g.use_ground_plane = f.BoolOr("use_ground_plane", false);
  g.normalize_imagenet = f.BoolOr("normalize_imagenet", true);
  f.OnlyBool("add_features", true);
  f.OnlyBool("transformer_decoder_join", true);
  if (f.IntOr("lidar_seq_len", 1, 1, 64) != 1) f.Int("lidar_seq_len", 1, 1);
}

void ReadBevShapes(Shapes& s, BevGeometry& g) {
  g.image = ReadTrunk(s, "bev_encoder.image_encoder.");
  g.lidar = ReadTrunk(s, "bev_encoder.lidar_encoder.");
  g.feature_channels = g.lidar.stages[3].width;
  g.fpn_channels = s.Dim("bev_encoder.c5_conv.weight", 0, 4);
  g.fusion_blocks = s.Count(
      [](int64_t b) { return Concat("bev_encoder.transformers.0.blocks.", b, ".ln1.weight"); },
      kMaxLayers);
}

void ReadPreprocessor(JsonFields& f, JsonFields& dims, PreprocessGeometry& p) {
  const auto mean = f.Doubles("image_mean", -10, 10);
  const auto deviation = f.Doubles("image_std", 1e-6, 10);
  for (size_t i = 0; i < 3 && mean.size() == 3 && deviation.size() == 3; ++i) {
    p.image_mean[i] = mean[i];
    p.image_std[i] = deviation[i];
  }
  p.rescale_factor = f.DoubleOr("rescale_factor", 1.0 / 255.0, 1e-9, 1);
  p.resize_width = dims.IntOr("slow_image_width", p.resize_width, 1, kMaxPixels);
  p.resize_height = dims.IntOr("slow_image_height", p.resize_height, 1, kMaxPixels);
  f.OnlyBool("do_rescale", true);
  f.OnlyBool("do_normalize", true);
}

// The processor of the reference would resize frames outside its pixel limits once more; such a
// checkpoint is refused, because nothing here does that.
absl::Status CheckSmartResize(const SideFiles& files, const ModelGeometry& g) {
  JsonFields f(files.preprocessor_config, "preprocessor_config.json");
  const int64_t pixels = g.preprocess.resize_width * g.preprocess.resize_height;
  const int64_t low = f.IntOr("size.shortest_edge", 0, 0, int64_t{1} << 40);
  const int64_t high = f.IntOr("size.longest_edge", int64_t{1} << 40, 0, int64_t{1} << 40);
  const int64_t patch = f.IntOr("patch_size", g.vision.patch),
                merge = f.IntOr("merge_size", g.vision.merge);
  const int64_t temporal = f.IntOr("temporal_patch_size", g.vision.temporal_patch);
  AUTOMOT_RETURN_IF_ERROR(f.status());
  if (patch != g.vision.patch || merge != g.vision.merge || temporal != g.vision.temporal_patch) {
    return absl::InvalidArgumentError(
        "preprocessor_config.json: patch_size, merge_size or temporal_patch_size differ from "
        "config.json");
  }
  if (pixels < low || pixels > high) {
    return absl::InvalidArgumentError(
        Concat("preprocessor_config.json: frames of ", g.preprocess.resize_width, "x",
               g.preprocess.resize_height, " = ", pixels, " pixels lie outside its limits [", low,
               ", ", high, "]"));
  }
  return absl::OkStatus();
}

int64_t ReadTokenId(JsonFields& config, const SideFiles& files, std::string_view field,
                    std::string_view piece, int64_t vocab) {
  const auto it = files.added_tokens.find(std::string(piece));
  if (config.Has(field) || it == files.added_tokens.end()) return config.Int(field, 0, vocab - 1);
  return it->second;
}

absl::Status ReadDims(JsonFields& dims, ModelGeometry& g) {
  DrivingContract& d = g.driving;
  if (dims.Has("decision_offsets_s"))
    d.decision_offsets_s = dims.Doubles("decision_offsets_s", 0, 60);
  if (dims.Has("target_point_rule")) d.target_point_rule = dims.Text("target_point_rule");
  if (dims.Has("lexicon")) d.lexicon = dims.Texts("lexicon");
  d.history_spacing_s = dims.DoubleOr("history_spacing_s", d.history_spacing_s, 1e-3, 60);
  d.history_frames = dims.IntOr("history_frames", d.history_frames, 1, 64);
  d.waypoint_spacing_s = dims.DoubleOr("waypoint_spacing_s", d.waypoint_spacing_s, 1e-3, 60);
  if (dims.Has("weights_note"))
    g.weights_trained = !absl::StrContains(dims.Text("weights_note"), "untrained");
  if (dims.Has("connector_act")) {
    const std::string act = dims.Text("connector_act");
    if (act == "gelu")
      g.action.connector_act = Activation::kGelu;
    else if (act == "silu")
      g.action.connector_act = Activation::kSilu;
    else if (act == "relu")
      g.action.connector_act = Activation::kRelu;
    else if (act != "gelu_pytorch_tanh")
      dims.OnlyText("connector_act", "gelu_pytorch_tanh");
  }
  AUTOMOT_RETURN_IF_ERROR(dims.status());
  // Stated for convenience by some exporters; they follow from shapes and must agree with them.
  for (const auto& [field, value] : {std::pair{"mot_num_attention_heads", g.action.heads},
                                     std::pair{"mot_num_key_value_heads", g.action.kv_heads},
                                     std::pair{"mot_head_dim", g.action.head_dim}}) {
    if (const int64_t stated = dims.IntOr(field, value); stated != value) {
      return absl::InvalidArgumentError(
          Concat("automot_dims.json: ", field, " is ", stated, ", the tensor shapes say ", value));
    }
  }
  return dims.status();
}

absl::StatusOr<nlohmann::json> ReadDocument(const std::string& directory, const std::string& name,
                                            size_t limit, SideFiles& files) {
  AUTOMOT_ASSIGN_OR_RETURN(const std::string text, ReadTextFile(directory + "/" + name, limit));
  Append(&files.digest_input, name, "\n", text.size(), "\n", text);
  return ParseJson(text, name);
}

absl::Status ReadAddedTokens(const nlohmann::json& tokenizer, SideFiles& files) {
  const auto list = tokenizer.find("added_tokens");
  if (list == tokenizer.end() || !list->is_array()) return absl::OkStatus();
  for (const auto& token : *list) {
    JsonFields f(token, "tokenizer.json: added_tokens");
    const std::string content = f.Text("content");
    files.added_tokens[content] = f.Int("id", 0);
    AUTOMOT_RETURN_IF_ERROR(f.status());
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<SideFiles> ReadSideFiles(const std::string& directory) {
  SideFiles files;
  AUTOMOT_ASSIGN_OR_RETURN(files.config,
                           ReadDocument(directory, "config.json", kMaxConfigBytes, files));
  AUTOMOT_ASSIGN_OR_RETURN(files.bev_config,
                           ReadDocument(directory, "bev_config.json", kMaxConfigBytes, files));
  AUTOMOT_ASSIGN_OR_RETURN(
      files.preprocessor_config,
      ReadDocument(directory, "preprocessor_config.json", kMaxConfigBytes, files));
  AUTOMOT_ASSIGN_OR_RETURN(const nlohmann::json tokenizer,
                           ReadDocument(directory, "tokenizer.json", kMaxTokenizerBytes, files));
  AUTOMOT_RETURN_IF_ERROR(ReadAddedTokens(tokenizer, files));
  auto dims = ReadDocument(directory, "automot_dims.json", kMaxConfigBytes, files);
  if (!dims.ok() && !absl::IsNotFound(dims.status())) return dims.status();
  files.dims = dims.ok() ? *std::move(dims) : nlohmann::json::object();
  return files;
}

absl::StatusOr<ModelGeometry> DeriveGeometry(const SideFiles& files, const TensorLookup& find) {
  ModelGeometry g;
  JsonFields config(files.config, "config.json"), bev_config(files.bev_config, "bev_config.json");
  JsonFields preprocessor(files.preprocessor_config, "preprocessor_config.json");
  JsonFields dims(files.dims, "automot_dims.json");
  Shapes shapes(find);
  g.text = ReadText(config);
  g.vision = ReadVision(config);
  ReadBevConfig(bev_config, g.bev, g.preprocess);
  ReadBevShapes(shapes, g.bev);
  ReadPreprocessor(preprocessor, dims, g.preprocess);
  g.action = ReadAction(shapes, g.text, g.bev);
  g.tokens.im_start = ReadTokenId(config, files, "im_start_token_id", "<|im_start|>", g.text.vocab);
  g.tokens.im_end = ReadTokenId(config, files, "im_end_token_id", "<|im_end|>", g.text.vocab);
  g.tokens.vision_start =
      ReadTokenId(config, files, "vision_start_token_id", "<|vision_start|>", g.text.vocab);
  g.tokens.vision_end =
      ReadTokenId(config, files, "vision_end_token_id", "<|vision_end|>", g.text.vocab);
  g.tokens.image_pad = ReadTokenId(config, files, "image_token_id", "<|image_pad|>", g.text.vocab);
  for (const auto* fields : {&config, &bev_config, &preprocessor})
    AUTOMOT_RETURN_IF_ERROR(fields->status());
  AUTOMOT_RETURN_IF_ERROR(shapes.status());
  AUTOMOT_RETURN_IF_ERROR(ReadDims(dims, g));
  AUTOMOT_RETURN_IF_ERROR(ValidateGeometry(g));
  AUTOMOT_RETURN_IF_ERROR(CheckSmartResize(files, g));
  return g;
}

}  // namespace automot::model
