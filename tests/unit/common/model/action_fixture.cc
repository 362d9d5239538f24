#include "tests/unit/common/model/action_fixture.h"

#include <stdexcept>
#include <string>
#include <utility>

namespace automot::model {
namespace {

template <typename T>
T OrThrow(absl::StatusOr<T> value) {
  if (!value.ok()) throw std::runtime_error(std::string(value.status().message()));
  return std::move(value).value();
}

}  // namespace

const Checkpoint& TinyCheckpoint() {
  static const auto* const checkpoint = new std::shared_ptr<const Checkpoint>(
      OrThrow(Checkpoint::Open(AUTOMOT_SOURCE_DIR "/tests/golden/data/tiny")));
  return **checkpoint;
}

std::unique_ptr<const ActionModel> LoadTinyActionModel(const ModelOptions& options) {
  const auto tokenizer = OrThrow(Tokenizer::Load(TinyCheckpoint().tokenizer_path()));
  return OrThrow(ActionModel::Load(TinyCheckpoint(), *tokenizer, {.model = options}));
}

const ActionModel& TinyActionModel() {
  static const auto* const model = new std::unique_ptr<const ActionModel>(LoadTinyActionModel({}));
  return **model;
}

OwnedContext RandomContext(int64_t tokens, const ActionModel& model) {
  const ContextDims dims = DimsOf(TinyCheckpoint().geometry(), ContextForm::kCompact);
  OwnedContext owned;
  ContextBuffers buffers{.tokens = tokens, .position_start = tokens};
  for (int64_t i = 0; i < dims.layers; ++i) {
    owned.keys.push_back(at::randn({tokens, dims.kv_heads, dims.key_dim}));
    owned.values.push_back(at::randn({tokens, dims.kv_heads, dims.value_dim}));
    buffers.keys.push_back(owned.keys.back().const_data_ptr());
    buffers.values.push_back(owned.values.back().const_data_ptr());
  }
  owned.context = OrThrow(model.Prepare(buffers));
  return owned;
}

ActionInputs RandomInputs(int64_t batch) {
  const BevGeometry& bev = TinyCheckpoint().geometry().bev;
  return {at::randn({batch, bev.feature_channels, bev.lidar_grid_rows, bev.lidar_grid_cols}),
          at::randn({batch, 2, 2}).mul_(20), at::rand({batch}).mul_(15)};
}

ActionInputs Observation(const ActionInputs& inputs, int64_t index) {
  return {inputs.bev_feature.narrow(0, index, 1), inputs.target_points.narrow(0, index, 1),
          inputs.speed.narrow(0, index, 1)};
}

}  // namespace automot::model
