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

// The limits of the processor's size rule, and sizes that two files state.
absl::Status ReadSizeRule(const SideFiles& files, ModelGeometry& g) {
  JsonFields f(files.preprocessor_config, "preprocessor_config.json");
  constexpr int64_t kMost = int64_t{1} << 40;
  PreprocessGeometry& p = g.preprocess;
  // min_pixels and max_pixels, the older names, come first where both are there.
  const int64_t shortest = f.IntOr("size.shortest_edge", p.min_pixels, 1, kMost);
  const int64_t longest = f.IntOr("size.longest_edge", p.max_pixels, 1, kMost);
  p.min_pixels = f.IntOr("min_pixels", shortest, 1, kMost);
  p.max_pixels = f.IntOr("max_pixels", longest, 1, kMost);
  const int64_t patch = f.IntOr("patch_size", g.vision.patch),
                merge = f.IntOr("merge_size", g.vision.merge);
  const int64_t temporal = f.IntOr("temporal_patch_size", g.vision.temporal_patch);
  f.OnlyBool("do_resize", true);
  if (constexpr int64_t kBicubic = 3; f.IntOr("resample", kBicubic, 0, 5) != kBicubic)
    f.Int("resample", kBicubic, kBicubic);
  AUTOMOT_RETURN_IF_ERROR(f.status());
  if (patch != g.vision.patch || merge != g.vision.merge || temporal != g.vision.temporal_patch) {
    return absl::InvalidArgumentError(
        "preprocessor_config.json: patch_size, merge_size or temporal_patch_size differ from "
        "config.json");
  }
  return ApplySizeRule(g);
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
  return dims.status();
}

// Stated for convenience by some exporters; they follow from shapes and must agree with them.
absl::Status CheckStatedHeads(JsonFields& dims, const ActionGeometry& action) {
  for (const auto& [field, value] : {std::pair{"mot_num_attention_heads", action.heads},
                                     std::pair{"mot_num_key_value_heads", action.kv_heads},
                                     std::pair{"mot_head_dim", action.head_dim}}) {
    if (const int64_t stated = dims.IntOr(field, value); stated != value) {
      return absl::InvalidArgumentError(
          Concat("automot_dims.json: ", field, " is ", stated, ", the tensor shapes say ", value));
    }
  }
  return dims.status();
}

// Parses one document and adds it to what the revision is made of.
absl::StatusOr<nlohmann::json> TakeDocument(std::string_view name, std::string_view text,
                                            SideFiles& files) {
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

absl::StatusOr<SideFiles> ParseSideFiles(const SideTexts& texts) {
  SideFiles files;
  AUTOMOT_ASSIGN_OR_RETURN(files.config, TakeDocument("config.json", texts.config, files));
  AUTOMOT_ASSIGN_OR_RETURN(files.bev_config,
                           TakeDocument("bev_config.json", texts.bev_config, files));
  AUTOMOT_ASSIGN_OR_RETURN(
      files.preprocessor_config,
      TakeDocument("preprocessor_config.json", texts.preprocessor_config, files));
  AUTOMOT_ASSIGN_OR_RETURN(const nlohmann::json tokenizer,
                           TakeDocument("tokenizer.json", texts.tokenizer, files));
  AUTOMOT_RETURN_IF_ERROR(ReadAddedTokens(tokenizer, files));
  files.dims = nlohmann::json::object();
  if (texts.dims) {
    AUTOMOT_ASSIGN_OR_RETURN(files.dims, TakeDocument("automot_dims.json", *texts.dims, files));
  }
  return files;
}

absl::StatusOr<SideFiles> ReadSideFiles(const std::string& directory) {
  const auto read = [&](const char* name, size_t limit) {
    return ReadTextFile(Concat(directory, "/", name), limit);
  };
  SideTexts texts;
  AUTOMOT_ASSIGN_OR_RETURN(texts.config, read("config.json", kMaxConfigBytes));
  AUTOMOT_ASSIGN_OR_RETURN(texts.bev_config, read("bev_config.json", kMaxConfigBytes));
  AUTOMOT_ASSIGN_OR_RETURN(texts.preprocessor_config,
                           read("preprocessor_config.json", kMaxConfigBytes));
  AUTOMOT_ASSIGN_OR_RETURN(texts.tokenizer, read("tokenizer.json", kMaxTokenizerBytes));
  auto dims = read("automot_dims.json", kMaxConfigBytes);
  if (!dims.ok() && !absl::IsNotFound(dims.status())) return dims.status();
  if (dims.ok()) texts.dims = *std::move(dims);
  return ParseSideFiles(texts);
}

absl::StatusOr<DerivedGeometry> DeriveGeometry(const SideFiles& files, const TensorLookup& find) {
  DerivedGeometry derived;
  ModelGeometry& g = derived.geometry;
  JsonFields config(files.config, "config.json"), bev_config(files.bev_config, "bev_config.json");
  JsonFields preprocessor(files.preprocessor_config, "preprocessor_config.json");
  JsonFields dims(files.dims, "automot_dims.json");
  g.text = ReadText(config);
  g.vision = ReadVision(config);
  ReadBevConfig(bev_config, g.bev, g.preprocess);
  ReadPreprocessor(preprocessor, dims, g.preprocess);
  derived.sizes = ReadShapes(find, g);
  g.tokens.im_start = ReadTokenId(config, files, "im_start_token_id", "<|im_start|>", g.text.vocab);
  g.tokens.im_end = ReadTokenId(config, files, "im_end_token_id", "<|im_end|>", g.text.vocab);
  g.tokens.vision_start =
      ReadTokenId(config, files, "vision_start_token_id", "<|vision_start|>", g.text.vocab);
  g.tokens.vision_end =
      ReadTokenId(config, files, "vision_end_token_id", "<|vision_end|>", g.text.vocab);
  g.tokens.image_pad = ReadTokenId(config, files, "image_token_id", "<|image_pad|>", g.text.vocab);
  for (const auto* fields : {&config, &bev_config, &preprocessor})
    AUTOMOT_RETURN_IF_ERROR(fields->status());
  AUTOMOT_RETURN_IF_ERROR(ReadDims(dims, g));
  if (derived.sizes.ok()) derived.sizes = CheckStatedHeads(dims, g.action);
  if (derived.sizes.ok()) derived.sizes = ReadSizeRule(files, g);
  if (derived.sizes.ok()) derived.sizes = ValidateGeometry(g);
  return derived;
}

}  // namespace automot::model
