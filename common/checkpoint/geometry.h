// Every size, constant and token id of one AutoMoT checkpoint, as plain values.
//
// Derived by `DeriveGeometry` (derive_geometry.h) from tensor shapes, config.json, bev_config.json,
// preprocessor_config.json, tokenizer.json and the optional automot_dims.json. Defaults below are
// what the published code hard-codes where no file of the official layout says otherwise; a zero
// must come from the files.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace automot::model {

// Text decoder of the understanding expert (spec 2.1).
struct TextGeometry {
  int64_t hidden = 0;
  int64_t layers = 0;
  int64_t heads = 0;
  int64_t kv_heads = 0;
  int64_t head_dim = 0;
  int64_t intermediate = 0;
  int64_t vocab = 0;
  double rms_eps = 0;
  double rope_theta = 0;
  std::array<int, 3> mrope_section{};  // frequencies of the axes t, h, w; they sum to head_dim / 2
  bool tied = true;                    // lm_head shares embed_tokens
};

// Vision tower of the understanding expert (spec 2.3).
struct VisionGeometry {
  int64_t depth = 0;
  int64_t hidden = 0;
  int64_t heads = 0;
  int64_t intermediate = 0;
  int64_t in_channels = 3;
  int64_t patch = 0;
  int64_t temporal_patch = 0;
  int64_t merge = 0;
  int64_t out_hidden = 0;
  int64_t position_table_side = 0;
  std::vector<int> deepstack_layers;  // block indices whose outputs are tapped, ascending
  double eps = 1e-6;                  // LayerNorm

  int64_t head_dim() const { return hidden / heads; }
  int64_t patch_values() const { return in_channels * temporal_patch * patch * patch; }
  int64_t merged_hidden() const { return hidden * merge * merge; }
};

enum class Activation { kGeluTanh, kGelu, kSilu, kRelu };

// Action expert, its encoders, queries and heads (spec 3.1, 3.2, 5.1). It has as many layers as the
// text decoder.
struct ActionGeometry {
  int64_t hidden = 0;
  int64_t layers = 0;
  int64_t heads = 0;
  int64_t kv_heads = 0;
  int64_t head_dim = 0;
  int64_t intermediate = 0;
  double rms_eps = 0;
  int64_t query_dim = 0;
  int64_t bev_tokens = 0;  // rows x columns of the BEV feature
  int64_t target_points = 2;
  int64_t decision_tokens = 0;
  int64_t route_points = 0;
  int64_t waypoints = 0;
  int64_t future_speeds = 0;  // outputs of velocity_head, a training-only head
  std::array<int64_t, 2>
      encoder_widths{};  // inner widths of target_point_encoder and velocity_encoder
  std::array<int64_t, 2> head_widths{};  // inner widths of route_head and waypoints_head
  Activation connector_act = Activation::kGeluTanh;  // between fc1 and fc2 of the query projectors

  int64_t observation_tokens() const { return bev_tokens + target_points + 1; }
  int64_t tokens() const {
    return observation_tokens() + decision_tokens + route_points + waypoints;
  }
};

// One stage of a RegNetY trunk: `depth` blocks of `width` channels, the first with stride 2.
struct RegNetStage {
  int64_t depth = 0;
  int64_t width = 0;
  int64_t group_width = 0;           // channels per group of the 3x3 convolution
  std::vector<int64_t> se_channels;  // squeeze width of each block
};

struct RegNetGeometry {
  int64_t in_channels = 0;
  int64_t stem_width = 0;
  std::array<RegNetStage, 4> stages;
  double batch_norm_eps = 1e-5;
};

// BEV encoder: two trunks, four fusion transformers, LiDAR histogram (spec 3.6).
struct BevGeometry {
  RegNetGeometry image;
  RegNetGeometry lidar;
  int64_t fusion_heads = 0;
  int64_t fusion_blocks = 0;
  int64_t fusion_mlp_ratio = 0;
  double layer_norm_eps = 1e-5;
  int64_t image_grid_rows = 0;  // fusion tokens of the image branch
  int64_t image_grid_cols = 0;
  int64_t lidar_grid_rows =
      0;  // fusion tokens of the LiDAR branch; also the grid of the BEV feature
  int64_t lidar_grid_cols = 0;
  int64_t image_rows = 0;  // camera picture after the crop
  int64_t image_cols = 0;
  int64_t lidar_rows = 0;  // histogram: rows = y, columns = x
  int64_t lidar_cols = 0;
  int64_t feature_channels = 0;
  int64_t fpn_channels = 0;                           // c5_conv, up_conv4, up_conv5: stored, unused
  double min_x = 0, max_x = 0, min_y = 0, max_y = 0;  // metres, ego frame, half-open
  double pixels_per_meter = 0;
  int64_t hist_max_per_pixel = 0;
  double lidar_split_height = 0;  // metres; only points above it count
  double max_lidar_height = 0;    // metres; only points below it count
  bool use_ground_plane = false;
  bool normalize_imagenet = true;

  int64_t image_tokens() const { return image_grid_rows * image_grid_cols; }
  int64_t lidar_tokens() const { return lidar_grid_rows * lidar_grid_cols; }
};

// From camera pictures to model inputs (spec 2.2, 3.6).
struct PreprocessGeometry {
  int64_t resize_width = 512;  // frames of the understanding expert, as the agent hands them on
  int64_t resize_height = 256;
  int64_t min_pixels = 65536;  // limits of Qwen's size rule, which resizes those frames once more
  int64_t max_pixels = 16777216;
  int64_t frame_width = 512;  // frames after that rule, which leaves the published ones alone
  int64_t frame_height = 256;
  int64_t camera_width = 0;  // declared camera of the BEV branch, before the crop
  int64_t camera_height = 0;
  int64_t crop_rows = 0;  // top rows kept for the BEV branch
  int64_t crop_cols = 0;  // equals camera_width
  std::array<double, 3> image_mean{};
  std::array<double, 3> image_std{};
  double rescale_factor = 0;

  // Tokens that one resized frame gives to the text decoder, without its two markers.
  int64_t tokens_per_image(const VisionGeometry& vision) const {
    const int64_t cell = vision.patch * vision.merge;
    return (frame_height / cell) * (frame_width / cell);
  }
};

struct TokenIds {
  int64_t im_start = -1;
  int64_t im_end = -1;
  int64_t vision_start = -1;
  int64_t vision_end = -1;
  int64_t image_pad = -1;
};

// How the checkpoint wants to be driven: our own additions to automot_dims.json.
struct DrivingContract {
  std::vector<double> decision_offsets_s = {0.0, 1.0, 2.0};
  std::string target_point_rule = "carla_route_planner";  // spec 5.3
  double history_spacing_s = 0.25;
  int64_t history_frames = 4;
  double waypoint_spacing_s = 0.5;
  std::vector<std::string> lexicon = {"accelerate", "slow", "keep",
                                      "stop"};  // decision words, spec 5.1
};

struct ModelGeometry {
  TextGeometry text;
  VisionGeometry vision;
  ActionGeometry action;
  BevGeometry bev;
  PreprocessGeometry preprocess;
  TokenIds tokens;
  DrivingContract driving;
  bool weights_trained =
      true;  // false when automot_dims.json says "weights_note": "random, untrained"
};

}  // namespace automot::model
