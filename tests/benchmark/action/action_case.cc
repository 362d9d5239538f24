#include "tests/benchmark/action/action_case.h"

#include <filesystem>
#include <stdexcept>
#include <utility>

#include "common/checkpoint/safetensors.h"
#include "common/model/parse_options.h"
#include "tools/make_checkpoint/presets.h"

namespace automot::benchmarks {
namespace {

using model::DType;

template <typename T>
T OrThrow(absl::StatusOr<T> value) {
  if (!value.ok()) throw std::runtime_error(std::string(value.status().message()));
  return std::move(value).value();
}
void Check(const absl::Status& status) {
  if (!status.ok()) throw std::runtime_error(std::string(status.message()));
}

// The action expert's sizes are the preset's; of the understanding expert, which does not run here,
// only what the two share.
model::ModelGeometry ReducedGeometry(const std::string& preset) {
  model::ModelGeometry geometry = OrThrow(model::PresetGeometry(preset));
  if (preset != "published") return geometry;
  for (const char* field : {"text.intermediate", "vision.intermediate", "vision.hidden"}) {
    Check(model::SetGeometryField(geometry, field, {64}));
  }
  Check(model::SetGeometryField(geometry, "vision.depth", {3}));
  Check(model::SetGeometryField(geometry, "vision.deepstack_layers", {0, 1, 2}));
  Check(model::CompleteGeometry(geometry));
  return geometry;
}

absl::Span<const std::byte> Bytes(const at::Tensor& tensor) {
  return {static_cast<const std::byte*>(tensor.const_data_ptr()), tensor.nbytes()};
}

}  // namespace

ActionCase::ActionCase(const CaseOptions& options) : directory_(options.checkpoint) {
  if (directory_.empty()) MakeCheckpoint(options);
  const auto checkpoint = OrThrow(model::Checkpoint::Open(directory_));
  const auto tokenizer = OrThrow(model::Tokenizer::Load(checkpoint->tokenizer_path()));
  model::ActionOptions model_options;
  model_options.model = OrThrow(model::ParseModelOptions(options.dtype, "cpu"));
  model_ = OrThrow(model::ActionModel::Load(*checkpoint, *tokenizer, model_options));
  MakeInputs(options);
  MakeContexts(options);
  WriteInputs();
}

ActionCase::~ActionCase() {
  std::error_code ignored;
  std::filesystem::remove(inputs_path(), ignored);
}

void ActionCase::MakeCheckpoint(const CaseOptions& options) {
  model::RandomCheckpointOptions random;
  random.geometry = ReducedGeometry(options.preset);
  random.dtype = options.dtype == "bfloat16" ? DType::kBF16 : DType::kF32;
  temporary_ = OrThrow(TemporaryCheckpoint::Write(std::move(random)));
  directory_ = temporary_.directory();
}

void ActionCase::MakeInputs(const CaseOptions& options) {
  const model::BevGeometry& bev = model_->geometry().bev;
  inputs_ = {
      at::randn({options.batch, bev.feature_channels, bev.lidar_grid_rows, bev.lidar_grid_cols}),
      at::randn({options.batch, 2, 2}).mul_(20), at::rand({options.batch}).mul_(15)};
}

void ActionCase::MakeContexts(const CaseOptions& options) {
  const model::ContextDims full = model::DimsOf(model_->geometry(), model::ContextForm::kFull);
  const model::ContextDims compact =
      model::DimsOf(model_->geometry(), model::ContextForm::kCompact);
  const at::ScalarType dtype = model_->options().model.dtype;
  for (int64_t i = 0; i < options.batch; ++i) {
    model::ContextBuffers buffers{
        .dtype = dtype, .tokens = options.prefix, .position_start = options.prefix};
    std::vector<at::Tensor> memory;
    std::vector<at::Tensor> keys, values;
    for (int64_t layer = 0; layer < full.layers; ++layer) {
      const at::Tensor k = at::randn({options.prefix, full.kv_heads, full.key_dim}).to(dtype);
      const at::Tensor v = at::randn({options.prefix, full.kv_heads, full.value_dim}).to(dtype);
      const model::LayerKeysValues selected = model::SelectForm(k, v, compact);
      memory.push_back(selected.keys.contiguous());
      memory.push_back(selected.values.contiguous());
      buffers.keys.push_back(memory[memory.size() - 2].const_data_ptr());
      buffers.values.push_back(memory.back().const_data_ptr());
      if (i == 0) keys.push_back(k), values.push_back(v);
    }
    if (i == 0) full_keys_ = at::stack(keys), full_values_ = at::stack(values);
    contexts_.push_back(OrThrow(model_->Prepare(buffers)));
    memory_.push_back(std::move(memory));
  }
}

void ActionCase::WriteInputs() const {
  const DType dtype = model_->options().model.dtype == at::kBFloat16 ? DType::kBF16 : DType::kF32;
  model::SafetensorsWriter writer;
  const auto add = [&](const char* name, DType type, const at::Tensor& tensor) {
    Check(writer.Add(name, type, tensor.sizes().vec(), Bytes(tensor)));
  };
  const at::Tensor feature = inputs_.bev_feature.narrow(0, 0, 1);
  const at::Tensor points = inputs_.target_points.narrow(0, 0, 1);
  const at::Tensor speed = inputs_.speed.narrow(0, 0, 1);
  const at::Tensor start = at::tensor({contexts_[0].position_start}, at::kLong);
  add("bev_feature", DType::kF32, feature);
  add("target_points", DType::kF32, points);
  add("speed", DType::kF32, speed);
  add("position_start", DType::kI64, start);
  add("k_cache", dtype, full_keys_);
  add("v_cache", dtype, full_values_);
  Check(writer.Write(inputs_path()));
}

std::vector<double> ActionCase::Step() {
  const model::StepStorage::Scope scope(storage_);
  const model::ActionInputs first{inputs_.bev_feature.narrow(0, 0, 1),
                                  inputs_.target_points.narrow(0, 0, 1),
                                  inputs_.speed.narrow(0, 0, 1)};
  const model::ContextUse use{&contexts_[0]};
  const model::ActionOutput output = OrThrow(model_->Plan(first, {&use, 1}));
  const at::Tensor flat = output.waypoints.contiguous();
  const float* values = flat.const_data_ptr<float>();
  return {values, values + flat.numel()};
}

void ActionCase::BatchStep() {
  const model::StepStorage::Scope scope(storage_);
  std::vector<model::ContextUse> uses;
  for (const model::ActionContext& context : contexts_) uses.push_back({&context});
  OrThrow(model_->Plan(inputs_, uses));
}

}  // namespace automot::benchmarks
