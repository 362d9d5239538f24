#include "common/checkpoint/derive_shapes.h"

#include <algorithm>
#include <string>

#include "common/checkpoint/text.h"

namespace automot::model {
namespace {

constexpr int64_t kMaxBlocks = 1024;

// Keeps the first error, like JsonFields.
class Shapes {
 public:
  explicit Shapes(const TensorLookup& find) : find_(find) {}

  // One axis of a tensor of known rank.
  struct Source {
    std::string name;
    size_t axis, rank;
  };
  // The first of `sources` that can tell; `otherwise` where none can. That the first cannot is an
  // error in any case.
  int64_t Dim(std::initializer_list<Source> sources, int64_t otherwise) {
    for (const Source& source : sources) {
      const TensorView* tensor = find_(source.name);
      if (tensor == nullptr) {
        Fail(Concat("tensor \"", source.name, "\" is missing"));
        continue;
      }
      const auto& shape = tensor->shape;
      if (shape.size() == source.rank && shape[source.axis] >= 1 &&
          shape[source.axis] <= (1 << 24)) {
        return shape[source.axis];
      }
      Fail(Concat("tensor \"", source.name, "\" has shape ", ShapeText(shape), ", rank ",
                  source.rank, " with sizes of 1 to 2^24 is needed"));
    }
    return otherwise;
  }
  // How many there are from 0 on, at most `limit`: one is there if any of its tensors is.
  int64_t Count(const std::function<std::string(int64_t)>& prefix,
                std::initializer_list<std::string_view> tensors, int64_t limit) const {
    const auto exists = [&](int64_t n) {
      return std::any_of(tensors.begin(), tensors.end(), [&](std::string_view tensor) {
        return find_(Concat(prefix(n), tensor)) != nullptr;
      });
    };
    int64_t n = 0;
    while (n < limit && exists(n)) ++n;
    return n;
  }
  const absl::Status& status() const { return status_; }

 private:
  void Fail(std::string what) {
    if (status_.ok()) status_ = absl::InvalidArgumentError(what);
  }

  const TensorLookup& find_;
  absl::Status status_;
};

ActionGeometry ReadAction(Shapes& s, const TextGeometry& text, const BevGeometry& bev) {
  ActionGeometry a;
  const std::string layer = "language_model.model.layers.0.";
  const std::string attention = layer + "self_attn.", mlp = layer + "mlp_mot_gen.";
  a.layers = text.layers;
  a.rms_eps = text.rms_eps;
  a.hidden =
      s.Dim({{"bev_encoder_proj.weight", 0, 2}, {"bev_encoder_proj.bias", 0, 1}}, text.hidden);
  a.head_dim = s.Dim(
      {{attention + "q_norm_mot_gen.weight", 0, 1}, {attention + "k_norm_mot_gen.weight", 0, 1}},
      text.head_dim);
  a.heads = s.Dim({{attention + "q_proj_mot_gen.weight", 0, 2},
                   {attention + "o_proj_mot_gen.weight", 1, 2}},
                  a.head_dim) /
            a.head_dim;
  a.kv_heads = s.Dim({{attention + "k_proj_mot_gen.weight", 0, 2},
                      {attention + "v_proj_mot_gen.weight", 0, 2}},
                     a.head_dim) /
               a.head_dim;
  a.intermediate = s.Dim({{mlp + "gate_proj.weight", 0, 2},
                          {mlp + "up_proj.weight", 0, 2},
                          {mlp + "down_proj.weight", 1, 2}},
                         text.intermediate);
  a.query_dim = s.Dim({{"reasoning_queries.weight", 1, 2},
                       {"route_queries.weight", 1, 2},
                       {"waypoint_queries.weight", 1, 2}},
                      588);
  a.bev_tokens = bev.lidar_tokens();
  a.decision_tokens = s.Dim({{"reasoning_queries.weight", 0, 2}}, 8);
  a.route_points = s.Dim({{"route_queries.weight", 0, 2}, {"route_head.query", 1, 3}}, 20);
  a.waypoints = s.Dim({{"waypoint_queries.weight", 0, 2}, {"waypoints_head.query", 1, 3}}, 6);
  a.future_speeds = s.Dim({{"velocity_head.2.weight", 0, 2}, {"velocity_head.2.bias", 0, 1}}, 3);
  const int64_t published_encoder[] = {256, 512}, published_head[] = {512, 256};
  for (size_t i = 0; i < 2; ++i) {
    const std::string n = Concat(2 * i, ".weight");
    a.encoder_widths[i] =
        s.Dim({{"velocity_encoder." + n, 0, 2}, {"target_point_encoder.mlp." + n, 0, 2}},
              published_encoder[i]);
    a.head_widths[i] = s.Dim({{"route_head.mlp." + n, 0, 2}, {"waypoints_head.mlp." + n, 0, 2}},
                             published_head[i]);
  }
  return a;
}

RegNetStage ReadStage(Shapes& s, const std::string& prefix) {
  RegNetStage stage;
  stage.width =
      s.Dim({{prefix + "1.conv2.conv.weight", 0, 4}, {prefix + "1.conv1.conv.weight", 0, 4}}, 1);
  stage.group_width =
      s.Dim({{prefix + "1.conv2.conv.weight", 1, 4}, {prefix + "2.conv2.conv.weight", 1, 4}}, 1);
  stage.depth =
      s.Count([&](int64_t b) { return Concat(prefix, b + 1, "."); },
              {"conv1.conv.weight", "conv2.conv.weight", "conv3.conv.weight"}, kMaxBlocks);
  for (int64_t b = 0; b < stage.depth; ++b) {
    const std::string block = Concat(prefix, b + 1, ".se.");
    stage.se_channels.push_back(
        s.Dim({{block + "fc1.weight", 0, 4}, {block + "fc2.weight", 1, 4}}, 1));
  }
  return stage;
}

RegNetGeometry ReadTrunk(Shapes& s, const std::string& trunk, int64_t published_channels) {
  RegNetGeometry r;
  r.stem_width = s.Dim({{trunk + "stem.conv.weight", 0, 4}, {trunk + "stem.bn.weight", 0, 1}}, 32);
  r.in_channels = s.Dim({{trunk + "stem.conv.weight", 1, 4}}, published_channels);
  for (size_t i = 0; i < r.stages.size(); ++i) {
    r.stages[i] = ReadStage(s, Concat(trunk, "s", i + 1, ".b"));
  }
  return r;
}

void ReadBevShapes(Shapes& s, BevGeometry& g) {
  g.image = ReadTrunk(s, "bev_encoder.image_encoder.", 3);
  g.lidar = ReadTrunk(s, "bev_encoder.lidar_encoder.", 1);
  g.feature_channels = g.lidar.stages[3].width;
  g.fpn_channels =
      s.Dim({{"bev_encoder.c5_conv.weight", 0, 4}, {"bev_encoder.c5_conv.bias", 0, 1}}, 64);
  g.fusion_blocks =
      s.Count([](int64_t b) { return Concat("bev_encoder.transformers.0.blocks.", b, "."); },
              {"ln1.weight", "ln2.weight"}, kMaxBlocks);
}

}  // namespace

absl::Status ReadShapes(const TensorLookup& find, ModelGeometry& geometry) {
  Shapes shapes(find);
  ReadBevShapes(shapes, geometry.bev);
  geometry.action = ReadAction(shapes, geometry.text, geometry.bev);
  return shapes.status();
}

}  // namespace automot::model
