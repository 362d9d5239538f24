#include "services/reasoning/torch_decision.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/control/decision_parser.h"
#include "common/image/crop.h"
#include "common/image/encode.h"
#include "common/model/decision_decoder.h"
#include "common/model/torch_status.h"
#include "common/status/status_macros.h"

namespace automot::reasoning {
namespace {

model::ContextBuffers BuffersOf(const ContextPlan& plan, const context::KvBuffer& keys_values) {
  const context::ContextLayout& layout = keys_values.layout();
  model::ContextBuffers buffers;
  buffers.form = layout.kind == context::ContextLayout::Kind::kFull ? model::ContextForm::kFull
                                                                    : model::ContextForm::kCompact;
  buffers.dtype = layout.element_type == context::ContextLayout::ElementType::kBFloat16
                      ? at::kBFloat16
                      : at::kFloat;
  buffers.tokens = layout.tokens;
  buffers.position_start = plan.position_start;
  for (int layer = 0; layer < layout.layers; ++layer) {
    buffers.keys.push_back(keys_values.Tensor(layer, context::TensorKind::kKey).data());
    buffers.values.push_back(keys_values.Tensor(layer, context::TensorKind::kValue).data());
  }
  return buffers;
}

// bytes: uint8, CPU; borrowed until the tensor is gone.
at::Tensor Borrow(const std::vector<uint8_t>& bytes, at::IntArrayRef shape) {
  return at::from_blob(const_cast<uint8_t*>(bytes.data()), shape, at::kByte);
}

model::ActionInputs InputsOf(at::Tensor bev_feature, const ContextPrompt& prompt) {
  const std::array<double, 4> points = {prompt.target.current.x, prompt.target.current.y,
                                        prompt.target.next.x, prompt.target.next.y};
  return {.bev_feature = std::move(bev_feature),
          .target_points = at::tensor(at::ArrayRef<double>(points), at::kFloat).reshape({1, 2, 2}),
          .speed = at::tensor(at::ArrayRef<double>({prompt.speed_mps}), at::kFloat)};
}

}  // namespace

absl::StatusOr<std::unique_ptr<TorchDecision>> TorchDecision::Load(
    const model::Checkpoint& checkpoint, const model::Tokenizer& tokenizer,
    const model::ModelOptions& options) {
  AUTOMOT_ASSIGN_OR_RETURN(std::unique_ptr<model::BevEncoder> bev,
                           model::BevEncoder::Load(checkpoint, options));
  AUTOMOT_ASSIGN_OR_RETURN(
      std::unique_ptr<const model::ActionModel> action,
      model::ActionModel::Load(checkpoint, tokenizer, {.model = options, .decision_only = true}));
  return std::unique_ptr<TorchDecision>(
      new TorchDecision(&tokenizer, std::move(bev), std::move(action)));
}

absl::StatusOr<RgbImage> TorchDecision::CroppedCamera(const DecisionInputs& inputs) const {
  const model::PreprocessGeometry& camera = action_->geometry().preprocess;
  if (inputs.camera->width != camera.camera_width ||
      inputs.camera->height != camera.camera_height) {
    return absl::InvalidArgumentError(absl::StrCat(
        "camera_images is ", inputs.camera->width, " x ", inputs.camera->height,
        " pixels; the checkpoint's camera is ", camera.camera_width, " x ", camera.camera_height));
  }
  if (inputs.camera_was_jpeg) {
    return image::CropTopRows(*inputs.camera, static_cast<int>(camera.crop_rows));
  }
  AUTOMOT_ASSIGN_OR_RETURN(const RgbImage lossy, image::JpegRoundTrip(*inputs.camera));
  return image::CropTopRows(lossy, static_cast<int>(camera.crop_rows));
}

absl::StatusOr<at::Tensor> TorchDecision::BevFeatureOf(const DecisionInputs& inputs) const {
  AUTOMOT_ASSIGN_OR_RETURN(const RgbImage camera, CroppedCamera(inputs));
  static const std::vector<uint8_t> kNothing(std::size_t{kLidarBins} * kLidarBins, 0);
  const std::vector<uint8_t>& counts = inputs.lidar != nullptr ? inputs.lidar->counts : kNothing;
  return model::CatchTorch("the decision's BEV feature", [&]() -> absl::StatusOr<at::Tensor> {
    return bev_->Encode(Borrow(camera.pixels, {1, camera.height, camera.width, 3}),
                        Borrow(counts, {1, 1, kLidarBins, kLidarBins}));
  });
}

absl::StatusOr<Decision> TorchDecision::Decide(const ContextPlan& plan,
                                               const context::KvBuffer& keys_values,
                                               const DecisionInputs& inputs) const {
  AUTOMOT_ASSIGN_OR_RETURN(at::Tensor bev_feature, BevFeatureOf(inputs));
  AUTOMOT_ASSIGN_OR_RETURN(const model::ActionContext context,
                           action_->Prepare(BuffersOf(plan, keys_values)));
  return model::CatchTorch("the decision", [&]() -> absl::StatusOr<Decision> {
    const model::ContextUse use = {.context = &context};
    AUTOMOT_ASSIGN_OR_RETURN(
        const model::DecisionHead::Result result,
        action_->Decide(InputsOf(std::move(bev_feature), inputs.prompt), {&use, 1}));
    const at::Tensor ids = result.ids.to(at::kCPU, at::kLong).contiguous();
    const at::Tensor probabilities = result.probabilities.to(at::kCPU, at::kFloat).contiguous();
    const auto count = static_cast<std::size_t>(ids.numel());
    const model::DecisionText text = model::DecodeDecision({ids.data_ptr<int64_t>(), count},
                                                           {probabilities.data_ptr<float>(), count},
                                                           action_->geometry().tokens, *tokenizer_);
    return control::ParseDecision(text.text, inputs.capture_time_us,
                                  action_->geometry().driving.decision_offsets_s,
                                  text.part_probabilities);
  });
}

}  // namespace automot::reasoning
