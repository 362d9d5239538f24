#include "tools/make_checkpoint/documents.h"

#include "common/status/status_macros.h"
#include "nlohmann/json.hpp"
#include "tools/make_checkpoint/driving_tokenizer.h"

namespace automot::model {
namespace {

using Json = nlohmann::ordered_json;

Json TextConfig(const TextGeometry& t, const DrivingTokenizer& tokenizer, const char* dtype) {
  return {
      {"vocab_size", t.vocab},
      {"hidden_size", t.hidden},
      {"intermediate_size", t.intermediate},
      {"num_hidden_layers", t.layers},
      {"num_attention_heads", t.heads},
      {"num_key_value_heads", t.kv_heads},
      {"head_dim", t.head_dim},
      {"hidden_act", "silu"},
      {"max_position_embeddings", 262144},
      {"rms_norm_eps", t.rms_eps},
      {"rope_theta", t.rope_theta},
      {"attention_bias", false},
      {"attention_dropout", 0.0},
      {"rope_scaling",
       {{"rope_type", "default"}, {"mrope_interleaved", true}, {"mrope_section", t.mrope_section}}},
      {"tie_word_embeddings", t.tied},
      {"bos_token_id", tokenizer.end_of_text},
      {"eos_token_id", tokenizer.ids.im_end},
      {"initializer_range", 0.02},
      {"use_cache", true},
      {"model_type", "qwen3_vl_text"},
      {"dtype", dtype}};
}

Json VisionConfig(const VisionGeometry& v) {
  return {{"depth", v.depth},
          {"hidden_size", v.hidden},
          {"hidden_act", "gelu_pytorch_tanh"},
          {"intermediate_size", v.intermediate},
          {"num_heads", v.heads},
          {"in_channels", v.in_channels},
          {"patch_size", v.patch},
          {"spatial_merge_size", v.merge},
          {"temporal_patch_size", v.temporal_patch},
          {"out_hidden_size", v.out_hidden},
          {"num_position_embeddings", v.position_table_side * v.position_table_side},
          {"deepstack_visual_indexes", v.deepstack_layers},
          {"initializer_range", 0.02},
          {"model_type", "qwen3_vl"}};
}

Json Config(const ModelGeometry& g, const DrivingTokenizer& tokenizer, const char* dtype) {
  return {{"architectures", {"Qwen3VLForConditionalGeneration"}},
          {"model_type", "qwen3_vl"},
          {"dtype", dtype},
          {"tie_word_embeddings", g.text.tied},
          {"image_token_id", tokenizer.ids.image_pad},
          {"video_token_id", tokenizer.video_pad},
          {"vision_start_token_id", tokenizer.ids.vision_start},
          {"vision_end_token_id", tokenizer.ids.vision_end},
          {"im_start_token_id", tokenizer.ids.im_start},
          {"im_end_token_id", tokenizer.ids.im_end},
          {"text_config", TextConfig(g.text, tokenizer, dtype)},
          {"vision_config", VisionConfig(g.vision)}};
}

Json BevConfig(const ModelGeometry& g) {
  const BevGeometry& b = g.bev;
  return {{"image_architecture", "regnety"},
          {"lidar_architecture", "regnety"},
          {"use_ground_plane", b.use_ground_plane},
          {"lidar_seq_len", 1},
          {"crop_image", true},
          {"camera_height", g.preprocess.camera_height},
          {"camera_width", g.preprocess.camera_width},
          {"cropped_height", b.image_rows},
          {"cropped_width", b.image_cols},
          {"img_vert_anchors", b.image_grid_rows},
          {"img_horz_anchors", b.image_grid_cols},
          {"lidar_resolution_width", b.lidar_cols},
          {"lidar_resolution_height", b.lidar_rows},
          {"lidar_vert_anchors", b.lidar_grid_rows},
          {"lidar_horz_anchors", b.lidar_grid_cols},
          {"pixels_per_meter", b.pixels_per_meter},
          {"hist_max_per_pixel", b.hist_max_per_pixel},
          {"lidar_split_height", b.lidar_split_height},
          {"max_height_lidar", b.max_lidar_height},
          {"min_x", b.min_x},
          {"max_x", b.max_x},
          {"min_y", b.min_y},
          {"max_y", b.max_y},
          {"normalize_imagenet", b.normalize_imagenet},
          {"transformer_decoder_join", true},
          {"add_features", true},
          {"bev_features_chanels", b.fpn_channels},
          {"block_exp", b.fusion_mlp_ratio},
          {"n_layer", b.fusion_blocks},
          {"n_head", b.fusion_heads}};
}

Json PreprocessorConfig(const ModelGeometry& g) {
  const PreprocessGeometry& p = g.preprocess;
  return {{"image_processor_type", "Qwen2VLImageProcessorFast"},
          {"size", {{"shortest_edge", p.min_pixels}, {"longest_edge", p.max_pixels}}},
          {"patch_size", g.vision.patch},
          {"temporal_patch_size", g.vision.temporal_patch},
          {"merge_size", g.vision.merge},
          {"image_mean", p.image_mean},
          {"image_std", p.image_std},
          {"do_convert_rgb", true},
          {"do_resize", true},
          {"do_rescale", true},
          {"rescale_factor", p.rescale_factor},
          {"do_normalize", true},
          {"resample", 3}};
}

Json Dims(const ModelGeometry& g) {
  return {{"weights_note", g.weights_trained ? "trained" : "random, untrained"},
          {"slow_image_width", g.preprocess.resize_width},
          {"slow_image_height", g.preprocess.resize_height},
          {"mot_num_attention_heads", g.action.heads},
          {"mot_num_key_value_heads", g.action.kv_heads},
          {"mot_head_dim", g.action.head_dim},
          {"connector_act", "gelu_pytorch_tanh"},
          {"decision_offsets_s", g.driving.decision_offsets_s},
          {"target_point_rule", g.driving.target_point_rule},
          {"history_spacing_s", g.driving.history_spacing_s},
          {"history_frames", g.driving.history_frames},
          {"waypoint_spacing_s", g.driving.waypoint_spacing_s},
          {"lexicon", g.driving.lexicon}};
}

Json TokenizerConfig() {
  return {{"tokenizer_class", "Qwen2Tokenizer"},
          {"eos_token", "<|im_end|>"},
          {"pad_token", "<|endoftext|>"},
          {"bos_token", nullptr},
          {"unk_token", nullptr},
          {"add_bos_token", false},
          {"add_prefix_space", false}};
}

}  // namespace

absl::StatusOr<std::map<std::string, std::string>> MakeDocuments(const ModelGeometry& geometry,
                                                                 bool bfloat16) {
  AUTOMOT_ASSIGN_OR_RETURN(const DrivingTokenizer tokenizer,
                           MakeDrivingTokenizer(geometry.tokens.im_start));
  const auto text = [](const Json& document) { return document.dump(1) + "\n"; };
  return std::map<std::string, std::string>{
      {"config.json", text(Config(geometry, tokenizer, bfloat16 ? "bfloat16" : "float32"))},
      {"bev_config.json", text(BevConfig(geometry))},
      {"preprocessor_config.json", text(PreprocessorConfig(geometry))},
      {"tokenizer.json", tokenizer.json},
      {"tokenizer_config.json", text(TokenizerConfig())},
      {"automot_dims.json", text(Dims(geometry))}};
}

}  // namespace automot::model
