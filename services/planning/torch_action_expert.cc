#include "services/planning/torch_action_expert.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/StreamGuard.h>
#include <c10/util/SmallVector.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <limits>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/checkpoint/checkpoint.h"
#include "common/checkpoint/driving_rig.h"
#include "common/context/header_check.h"
#include "common/control/decision_parser.h"
#include "common/model/action_model.h"
#include "common/model/bev/bev_encoder.h"
#include "common/model/context_export.h"
#include "common/model/cuda_step_graphs.h"
#include "common/model/decision_decoder.h"
#include "common/model/parse_options.h"
#include "common/model/step_storage.h"
#include "common/model/torch_status.h"
#include "common/scheduling/batch_costs.h"
#include "common/status/status_macros.h"
#include "common/tokenizer/prompt.h"
#include "common/tokenizer/tokenizer.h"

namespace automot::planning {
namespace {

using context::ContextLayout;

double SecondsSince(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// Keeps the snapshot alive, whose buffers the context borrows.
class TorchPreparedContext final : public PreparedContext {
 public:
  TorchPreparedContext(context::SnapshotPtr snapshot, model::ActionContext context)
      : snapshot_(std::move(snapshot)), context_(std::move(context)) {}
  const model::ActionContext& context() const { return context_; }

 private:
  const context::SnapshotPtr snapshot_;
  const model::ActionContext context_;
};

model::ContextBuffers BuffersOf(const context::ContextSnapshot& snapshot) {
  const ContextLayout& layout = snapshot.kv.layout();
  model::ContextBuffers buffers;
  buffers.form = layout.kind == ContextLayout::Kind::kFull ? model::ContextForm::kFull
                                                           : model::ContextForm::kCompact;
  buffers.dtype =
      layout.element_type == ContextLayout::ElementType::kBFloat16 ? at::kBFloat16 : at::kFloat;
  buffers.tokens = layout.tokens;
  buffers.position_start = snapshot.header.position_start;
  for (int layer = 0; layer < layout.layers; ++layer) {
    buffers.keys.push_back(snapshot.kv.Tensor(layer, context::TensorKind::kKey).data());
    buffers.values.push_back(snapshot.kv.Tensor(layer, context::TensorKind::kValue).data());
  }
  return buffers;
}

ActionExpertInfo Describe(const model::Checkpoint& checkpoint, const model::DrivingRig& rig) {
  const model::ModelGeometry& geometry = checkpoint.geometry();
  const model::BevGeometry& bev = geometry.bev;
  ActionExpertInfo info;
  info.model_revision = std::string(checkpoint.revision());
  info.target_point_rule = geometry.driving.target_point_rule;
  info.weights_trained = geometry.weights_trained;
  info.bev_channels = static_cast<int>(bev.feature_channels);
  info.crop_rows = static_cast<int>(geometry.preprocess.crop_rows);
  info.camera_width = static_cast<int>(geometry.preprocess.camera_width);
  info.camera_height = static_cast<int>(geometry.preprocess.camera_height);
  info.camera_fov_deg = rig.camera_fov_deg;
  info.rear_axle_behind_origin_m = rig.rear_axle_behind_origin_m;
  info.lidar_histogram.min_x = bev.min_x;
  info.lidar_histogram.max_x = bev.max_x;
  info.lidar_histogram.min_y = bev.min_y;
  info.lidar_histogram.max_y = bev.max_y;
  info.lidar_histogram.pixels_per_meter = bev.pixels_per_meter;
  info.lidar_histogram.split_height = bev.lidar_split_height;
  info.lidar_histogram.max_height = bev.max_lidar_height;
  info.lidar_histogram.max_count = static_cast<int>(bev.hist_max_per_pixel);
  return info;
}

// Of a context with full history and a typical instruction.
absl::StatusOr<int64_t> UsualPrefixTokens(const model::ModelGeometry& geometry,
                                          const model::Tokenizer& tokenizer) {
  AUTOMOT_ASSIGN_OR_RETURN(const std::string instruction,
                           model::FormatInstruction({Vec2{12.3, -4.5}, Vec2{45.6, 7.8}}, 9.1));
  AUTOMOT_ASSIGN_OR_RETURN(const model::PromptIds prompt,
                           model::BuildPromptIds(tokenizer, instruction));
  const int64_t image = geometry.preprocess.tokens_per_image(geometry.vision) + 2;  // and markers
  return static_cast<int64_t>(prompt.prefix.size() + prompt.instruction.size()) +
         geometry.driving.history_frames * image;
}

// Rows of a plan keep their places after the context and see themselves alone.
void Hide(model::ActionContext& context) {
  const at::Tensor& keys = context.layers[0].keys;
  context.prefix_mask = at::full({keys.size(0), 1, context.tokens},
                                 -std::numeric_limits<double>::infinity(), keys.options());
}

class TorchActionExpert final : public ActionExpert {
 public:
  TorchActionExpert(const TorchActionExpertOptions& options, ActionExpertInfo info,
                    int64_t usual_tokens, std::unique_ptr<const model::Tokenizer> tokenizer,
                    std::unique_ptr<const model::BevEncoder> bev,
                    std::unique_ptr<const model::ActionModel> model)
      : options_(options),
        info_(std::move(info)),
        tokenizer_(std::move(tokenizer)),
        bev_(std::move(bev)),
        model_(std::move(model)),
        no_camera_(
            at::zeros({1, bev_->geometry().image_rows, bev_->geometry().image_cols, 3}, at::kByte)),
        no_lidar_(at::zeros({1, 1, kLidarBins, kLidarBins}, at::kByte)),
        usual_tokens_(usual_tokens) {
    const ContextLayout usual = OwnLayout(ContextLayout::Kind::kCompact);
    info_.usual_context_bytes = usual.total_bytes();
    info_.context_element_type = usual.element_type;
  }

  const ActionExpertInfo& info() const override { return info_; }
  absl::StatusOr<std::unique_ptr<const PreparedContext>> Prepare(
      context::SnapshotPtr snapshot) const override;
  absl::Status WarmUp(int max_batch) override;
  absl::Duration WarmCost(int batch) const override {
    const auto at = static_cast<std::size_t>(batch - 1);
    return at < warm_costs_.size() ? warm_costs_[at] : absl::ZeroDuration();
  }
  absl::Status Plan(const PlanFeatures& features, const PreparedContext& context,
                    PlanOutput* output) override;
  void PlanBatch(absl::Span<PlanItem> items) override;

 private:
  ContextLayout OwnLayout(ContextLayout::Kind kind) const;
  context::SnapshotExpectation ExpectationFor(const context::SnapshotHeader& header) const;
  at::Tensor Picture(const PlanFeatures& features) const;
  at::Tensor Counts(const PlanFeatures& features) const;
  at::Tensor GivenFeature(const PlanFeatures& features) const;
  absl::StatusOr<at::Tensor> BevFeatures(absl::Span<const PlanItem> items) const;
  absl::Status Compute(absl::Span<PlanItem> items) const;
  absl::StatusOr<model::ActionOutput> Run(const model::ActionInputs& inputs,
                                          absl::Span<const model::ContextUse> uses) const;
  absl::Status Fill(const model::ActionOutput& result, int64_t row, SessionTimeUs capture_time_us,
                    PlanOutput* output) const;
  void UseOwnThreads() const;
  absl::StatusOr<std::unique_ptr<const PreparedContext>> Ready(context::SnapshotPtr snapshot) const;
  absl::StatusOr<std::unique_ptr<const PreparedContext>> EmptyContext(int tokens) const;
  absl::Status WarmUpAt(int tokens, int batch);

  const TorchActionExpertOptions options_;
  ActionExpertInfo info_;  // constant once constructed
  const std::unique_ptr<const model::Tokenizer> tokenizer_;
  const std::unique_ptr<const model::BevEncoder> bev_;
  const std::unique_ptr<const model::ActionModel> model_;
  const at::Tensor no_camera_;                     // [1, image_rows, image_cols, 3], uint8
  const at::Tensor no_lidar_;                      // [1, 1, 256, 256], uint8
  const int64_t usual_tokens_;                     // of a prefix
  model::StepStorage storage_;                     // of the planning thread's tensors, once warm
  std::unique_ptr<model::CudaStepGraphs> graphs_;  // null on the CPU
  std::vector<absl::Duration> warm_costs_;         // [batch - 1]
};

// LibTorch's number of threads belongs to the calling thread: the planning thread sets it once.
void TorchActionExpert::UseOwnThreads() const {
  thread_local bool done = false;
  if (!std::exchange(done, true)) at::set_num_threads(options_.threads);
}

// Of a usual context in the expert's own element type.
ContextLayout TorchActionExpert::OwnLayout(ContextLayout::Kind kind) const {
  const auto form =
      kind == ContextLayout::Kind::kFull ? model::ContextForm::kFull : model::ContextForm::kCompact;
  const model::ContextDims dims = model::DimsOf(model_->geometry(), form);
  return {.kind = kind,
          .element_type = model_->options().model.dtype == at::kBFloat16
                              ? ContextLayout::ElementType::kBFloat16
                              : ContextLayout::ElementType::kFloat32,
          .layers = static_cast<int>(dims.layers),
          .tokens = static_cast<int>(usual_tokens_),
          .kv_heads = static_cast<int>(dims.kv_heads),
          .k_head_dim = static_cast<int>(dims.key_dim),
          .v_head_dim = static_cast<int>(dims.value_dim)};
}

// Everything that must be the same for keys and values to mean the same to this model (semantics
// 2). Identity and fencing are the store's business.
context::SnapshotExpectation TorchActionExpert::ExpectationFor(
    const context::SnapshotHeader& header) const {
  const model::ModelGeometry& geometry = model_->geometry();
  context::SnapshotExpectation expected;
  expected.session = header.id.session;
  expected.episode = header.id.episode;
  expected.epoch = header.id.epoch;
  expected.model_revision = info_.model_revision;
  expected.prompt_template = std::string(model::kPromptTemplate);
  expected.instruction_mask = options_.bidirectional_instruction ? "bidirectional" : "causal";
  expected.history_spacing_s = geometry.driving.history_spacing_s;
  expected.layout = OwnLayout(header.layout.kind);
  return expected;
}

absl::StatusOr<std::unique_ptr<const PreparedContext>> TorchActionExpert::Prepare(
    context::SnapshotPtr snapshot) const {
  AUTOMOT_RETURN_IF_ERROR(
      context::CheckHeader(snapshot->header, ExpectationFor(snapshot->header)).status);
  return Ready(std::move(snapshot));
}

absl::StatusOr<std::unique_ptr<const PreparedContext>> TorchActionExpert::Ready(
    context::SnapshotPtr snapshot) const {
  AUTOMOT_ASSIGN_OR_RETURN(model::ActionContext context, model_->Prepare(BuffersOf(*snapshot)));
  if (options_.hide_contexts) Hide(context);
  return std::make_unique<const TorchPreparedContext>(std::move(snapshot), std::move(context));
}

// The crop keeps the top rows at full width: the beginning of the picture's memory.
at::Tensor TorchActionExpert::Picture(const PlanFeatures& features) const {
  const model::BevGeometry& bev = bev_->geometry();
  if (features.camera == nullptr) return no_camera_;
  return at::from_blob(const_cast<uint8_t*>(features.camera->pixels.data()),
                       {1, bev.image_rows, bev.image_cols, 3}, at::kByte);
}

at::Tensor TorchActionExpert::Counts(const PlanFeatures& features) const {
  const model::BevGeometry& bev = bev_->geometry();
  if (features.lidar == nullptr) return no_lidar_;
  return at::from_blob(const_cast<uint8_t*>(features.lidar->counts.data()),
                       {1, 1, bev.lidar_rows, bev.lidar_cols}, at::kByte);
}

at::Tensor TorchActionExpert::GivenFeature(const PlanFeatures& features) const {
  const model::BevGeometry& bev = bev_->geometry();
  return at::from_blob(const_cast<float*>(features.bev_feature->values.data()),
                       {1, bev.feature_channels, bev.lidar_grid_rows, bev.lidar_grid_cols});
}

// One run of the encoder for all that did not bring their feature.
absl::StatusOr<at::Tensor> TorchActionExpert::BevFeatures(absl::Span<const PlanItem> items) const {
  c10::SmallVector<at::Tensor, BatchCosts::kLargestBatch> pictures, counts, features;
  for (const PlanItem& item : items) {
    if (item.features.bev_feature != nullptr) continue;
    pictures.push_back(Picture(item.features));
    counts.push_back(Counts(item.features));
  }
  at::Tensor encoded;
  if (!pictures.empty()) {
    const bool one = pictures.size() == 1;
    AUTOMOT_ASSIGN_OR_RETURN(encoded, bev_->Encode(one ? pictures[0] : at::cat(pictures),
                                                   one ? counts[0] : at::cat(counts)));
    if (pictures.size() == items.size()) return encoded;
  }
  int64_t next = 0;
  for (const PlanItem& item : items) {
    const bool given = item.features.bev_feature != nullptr;
    features.push_back(given ? GivenFeature(item.features) : encoded.narrow(0, next++, 1));
  }
  if (features.size() == 1) return features[0];
  for (at::Tensor& feature : features) {
    feature = feature.to(model_->options().model.device, model_->options().model.dtype);
  }
  return at::cat(features);
}

absl::Status TorchActionExpert::Compute(absl::Span<PlanItem> items) const {
  c10::OptionalStreamGuard stream;
  if (graphs_ != nullptr) stream.reset_stream(graphs_->stream());
  const auto begin = std::chrono::steady_clock::now();
  AUTOMOT_ASSIGN_OR_RETURN(at::Tensor bev_feature, BevFeatures(items));
  const double bev_encoder_s = SecondsSince(begin);
  std::array<float, size_t{5} * BatchCosts::kLargestBatch> numbers;
  std::array<model::ContextUse, BatchCosts::kLargestBatch> uses;
  const auto count = static_cast<int64_t>(items.size());
  float* const speeds = numbers.data() + 4 * count;
  for (std::size_t i = 0; i < items.size(); ++i) {
    for (std::size_t point = 0; point < 2; ++point) {
      const Vec2& at = items[i].features.target_points[point];
      numbers.at(4 * i + 2 * point) = static_cast<float>(at.x);
      numbers.at(4 * i + 2 * point + 1) = static_cast<float>(at.y);
    }
    speeds[i] = static_cast<float>(items[i].features.speed_mps);
    const auto* prepared = static_cast<const TorchPreparedContext*>(items[i].context);
    uses.at(i) = {.context = &prepared->context()};
  }
  const model::ActionInputs inputs{.bev_feature = std::move(bev_feature),
                                   .target_points = at::from_blob(numbers.data(), {count, 2, 2}),
                                   .speed = at::from_blob(speeds, {count})};
  AUTOMOT_ASSIGN_OR_RETURN(const model::ActionOutput result,
                           Run(inputs, absl::MakeConstSpan(uses).first(items.size())));
  for (std::size_t i = 0; i < items.size(); ++i) {
    PlanItem& item = items[i];
    item.status =
        Fill(result, static_cast<int64_t>(i), item.features.capture_time_us, &item.output);
    item.output.bev_encoder_s = bev_encoder_s;
    item.output.action_expert_s = SecondsSince(begin) - bev_encoder_s;
  }
  return absl::OkStatus();
}

void TorchActionExpert::PlanBatch(absl::Span<PlanItem> items) {
  UseOwnThreads();
  const model::StepStorage::Scope scope(storage_);
  const absl::Status status =
      model::CatchTorch("the action expert", [&] { return Compute(items); });
  if (status.ok()) return;
  for (PlanItem& item : items) item.status = status;
}

absl::Status TorchActionExpert::Plan(const PlanFeatures& features, const PreparedContext& context,
                                     PlanOutput* output) {
  PlanItem item{.features = features, .context = &context};
  PlanBatch({&item, 1});
  *output = item.output;
  return item.status;
}

absl::StatusOr<model::ActionOutput> TorchActionExpert::Run(
    const model::ActionInputs& inputs, absl::Span<const model::ContextUse> uses) const {
  if (graphs_ != nullptr) {
    auto replayed = graphs_->Plan(inputs, uses);
    if (!absl::IsNotFound(replayed.status())) return replayed;
  }
  return model_->Plan(inputs, uses);
}

absl::Status TorchActionExpert::Fill(const model::ActionOutput& result, int64_t row,
                                     SessionTimeUs capture_time_us, PlanOutput* output) const {
  const at::Tensor route = result.route[row].contiguous();
  const at::Tensor waypoints = result.waypoints[row].contiguous();
  if (!at::isfinite(route).all().item<bool>() || !at::isfinite(waypoints).all().item<bool>()) {
    return absl::InternalError("the action expert's trajectory is not finite");
  }
  const float* xy = route.data_ptr<float>();
  for (int i = 0; i < kRoutePoints; ++i) output->trajectory.route[i] = {xy[2 * i], xy[2 * i + 1]};
  xy = waypoints.data_ptr<float>();
  for (int i = 0; i < kWaypoints; ++i) {
    output->trajectory.waypoints[i] = {xy[2 * i], xy[2 * i + 1]};
  }
  const at::Tensor ids = result.decision.ids[row].to(at::kCPU, at::kLong).contiguous();
  const at::Tensor probabilities =
      result.decision.probabilities[row].to(at::kCPU, at::kFloat).contiguous();
  const auto count = static_cast<std::size_t>(ids.numel());
  const model::DecisionText text = model::DecodeDecision({ids.data_ptr<int64_t>(), count},
                                                         {probabilities.data_ptr<float>(), count},
                                                         model_->geometry().tokens, *tokenizer_);
  output->decision = control::ParseDecision(text.text, capture_time_us,
                                            model_->geometry().driving.decision_offsets_s,
                                            text.part_probabilities);
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<const PreparedContext>> TorchActionExpert::EmptyContext(
    int tokens) const {
  const context::SnapshotHeader header{.layout = {.kind = ContextLayout::Kind::kCompact}};
  auto snapshot = std::make_shared<context::ContextSnapshot>();
  ContextLayout layout = *ExpectationFor(header).layout;
  layout.tokens = tokens;
  AUTOMOT_ASSIGN_OR_RETURN(snapshot->kv, context::KvBuffer::Allocate(layout));
  snapshot->header.layout = layout;
  snapshot->header.position_start = layout.tokens;
  return Ready(std::move(snapshot));
}

// Twice: the first run makes LibTorch's caches, the second shows that they serve.
absl::Status TorchActionExpert::WarmUpAt(int tokens, int batch) {
  AUTOMOT_ASSIGN_OR_RETURN(const auto context, EmptyContext(tokens));
  std::vector<PlanItem> items(static_cast<std::size_t>(batch), PlanItem{.context = context.get()});
  PlanBatch(absl::MakeSpan(items));
  const auto begin = std::chrono::steady_clock::now();
  PlanBatch(absl::MakeSpan(items));
  warm_costs_.resize(std::max(warm_costs_.size(), items.size()));
  warm_costs_[items.size() - 1] = absl::FromChrono(std::chrono::steady_clock::now() - begin);
  return items[0].status;
}

// Prefixes differ by a few words of the instruction: lengths around the usual one meet every size
// of block (docs/decisions/0014-step-storage.md).
absl::Status TorchActionExpert::WarmUp(int max_batch) {
  const int64_t usual = usual_tokens_;
  if (model_->options().model.device.is_cuda()) {
    model::StepBuckets buckets{.batches = {1}, .prefixes = {usual, usual * 5 / 4}};
    for (int64_t batch = 2; batch <= max_batch; batch *= 2) buckets.batches.push_back(batch);
    AUTOMOT_ASSIGN_OR_RETURN(graphs_, model::CudaStepGraphs::Capture(*model_, buckets));
  }
  for (const double share : {0.8, 0.9, 1.1, 1.2, 1.0}) {
    const int tokens = static_cast<int>(share * static_cast<double>(usual));
    AUTOMOT_RETURN_IF_ERROR(WarmUpAt(tokens, 1));
  }
  for (int batch = 2; batch <= max_batch; ++batch) {
    AUTOMOT_RETURN_IF_ERROR(WarmUpAt(static_cast<int>(usual), batch));
  }
  return absl::OkStatus();
}

absl::Status CheckShapes(const model::ModelGeometry& geometry) {
  const model::ActionGeometry& action = geometry.action;
  const auto check = [](const char* what, int64_t value, int64_t wanted) {
    if (value == wanted) return absl::OkStatus();
    return absl::FailedPreconditionError(
        absl::StrCat("the checkpoint has ", value, " ", what, "; the contract has ", wanted));
  };
  AUTOMOT_RETURN_IF_ERROR(check("route points", action.route_points, kRoutePoints));
  AUTOMOT_RETURN_IF_ERROR(check("waypoints", action.waypoints, kWaypoints));
  AUTOMOT_RETURN_IF_ERROR(check("LiDAR rows", geometry.bev.lidar_rows, kLidarBins));
  AUTOMOT_RETURN_IF_ERROR(check("LiDAR columns", geometry.bev.lidar_cols, kLidarBins));
  return check("crop columns", geometry.preprocess.crop_cols, geometry.preprocess.camera_width);
}

}  // namespace

absl::StatusOr<std::unique_ptr<ActionExpert>> LoadTorchActionExpert(
    const TorchActionExpertOptions& options) {
  AUTOMOT_ASSIGN_OR_RETURN(const model::ModelOptions model_options,
                           model::ParseModelOptions(options.dtype, options.device));
  if (options.hide_contexts && !model_options.device.is_cpu()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--hide-contexts: --device is ", options.device, ", must be cpu"));
  }
  AUTOMOT_ASSIGN_OR_RETURN(
      const std::shared_ptr<const model::Checkpoint> checkpoint,
      model::Checkpoint::Open(options.checkpoint, {.use_ema = options.use_ema}));
  AUTOMOT_RETURN_IF_ERROR(CheckShapes(checkpoint->geometry()));
  AUTOMOT_ASSIGN_OR_RETURN(auto tokenizer, model::Tokenizer::Load(checkpoint->tokenizer_path()));
  AUTOMOT_ASSIGN_OR_RETURN(auto bev, model::BevEncoder::Load(*checkpoint, model_options));
  AUTOMOT_ASSIGN_OR_RETURN(
      auto model, model::ActionModel::Load(*checkpoint, *tokenizer, {.model = model_options}));
  AUTOMOT_ASSIGN_OR_RETURN(const int64_t usual,
                           UsualPrefixTokens(checkpoint->geometry(), *tokenizer));
  AUTOMOT_ASSIGN_OR_RETURN(const model::DrivingRig rig, model::ReadDrivingRig(options.checkpoint));
  return std::make_unique<TorchActionExpert>(options, Describe(*checkpoint, rig), usual,
                                             std::move(tokenizer), std::move(bev),
                                             std::move(model));
}

}  // namespace automot::planning
