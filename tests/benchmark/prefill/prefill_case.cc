#include "tests/benchmark/prefill/prefill_case.h"

#include <stdexcept>
#include <utility>

#include "common/checkpoint/safetensors.h"
#include "common/model/attention_mask.h"
#include "common/model/parse_options.h"
#include "tools/make_checkpoint/presets.h"

namespace automot::benchmarks {
namespace {

using model::DType;

constexpr int64_t kPrefixWords = 14;
constexpr int64_t kWords = 256;  // plain words of every tokenizer

template <typename T>
T OrThrow(absl::StatusOr<T> value) {
  if (!value.ok()) throw std::runtime_error(std::string(value.status().message()));
  return std::move(value).value();
}
void Check(const absl::Status& status) {
  if (!status.ok()) throw std::runtime_error(std::string(status.message()));
}

std::vector<int64_t> RandomWords(int64_t count) {
  const at::Tensor words = at::randint(0, kWords, {count}, at::kLong);
  return {words.const_data_ptr<int64_t>(), words.const_data_ptr<int64_t>() + count};
}

}  // namespace

PrefillCase::PrefillCase(const PrefillOptions& options) : options_(options) {
  MakeCheckpoint();
  const auto checkpoint = OrThrow(model::Checkpoint::Open(directory()));
  model_ = OrThrow(model::UnderstandingModel::Load(
      *checkpoint, OrThrow(model::ParseModelOptions(options.dtype, "cpu"))));
  const model::ModelGeometry& geometry = model_->geometry();
  rows_ = geometry.preprocess.frame_height / geometry.vision.patch;
  cols_ = geometry.preprocess.frame_width / geometry.vision.patch;
  pixel_values_ = at::randn({options.frames * rows_ * cols_, geometry.vision.patch_values()});
  features_ = Encode(0, options.frames);
  const int64_t image_tokens = features_[0].grid.tokens() + 2;  // and its markers
  const int64_t instruction = options.tokens - kPrefixWords - options.frames * image_tokens;
  sequence_ =
      OrThrow(model_->Sequence(RandomWords(kPrefixWords), features_, RandomWords(instruction)));
  WriteInputs();
}

void PrefillCase::MakeCheckpoint() {
  model::RandomCheckpointOptions random;
  random.geometry = OrThrow(model::PresetGeometry("published"));
  Check(model::SetGeometryField(random.geometry, "text.layers", {options_.text_layers}));
  Check(model::SetGeometryField(random.geometry, "vision.depth", {options_.vision_blocks}));
  const int64_t blocks = options_.vision_blocks;
  Check(model::SetGeometryField(random.geometry, "vision.deepstack_layers",
                                {blocks / 4, blocks / 2, 3 * blocks / 4}));
  Check(model::CompleteGeometry(random.geometry));
  random.dtype = options_.dtype == "bfloat16" ? DType::kBF16 : DType::kF32;
  checkpoint_ = OrThrow(TemporaryCheckpoint::Write(std::move(random)));
}

void PrefillCase::WriteInputs() const {
  const auto count = static_cast<int64_t>(sequence_.ids.size());
  std::vector<int64_t> positions;
  for (const auto& axis : sequence_.positions) {
    positions.insert(positions.end(), axis.begin(), axis.end());
  }
  const at::Tensor allowed = model::AllowedBySpans(sequence_.spans).to(at::kByte);
  std::vector<int64_t> grids;
  for (int64_t i = 0; i < options_.frames; ++i) grids.insert(grids.end(), {1, rows_, cols_});
  model::SafetensorsWriter writer;
  Check(writer.AddValues<int64_t>("input_ids", DType::kI64, {count}, sequence_.ids));
  Check(writer.AddValues<int64_t>("position_ids", DType::kI64, {3, count}, positions));
  Check(writer.AddValues<int64_t>("grid_thw", DType::kI64, {options_.frames, 3}, grids));
  Check(writer.AddValues<uint8_t>(
      "mask_allowed", DType::kU8, {count, count},
      {allowed.const_data_ptr<uint8_t>(), static_cast<size_t>(allowed.numel())}));
  Check(writer.AddValues<float>(
      "pixel_values", DType::kF32, pixel_values_.sizes().vec(),
      {pixel_values_.const_data_ptr<float>(), static_cast<size_t>(pixel_values_.numel())}));
  Check(writer.Write(inputs_path()));
}

std::vector<model::ImageFeature> PrefillCase::Encode(int64_t first, int64_t count) const {
  const int64_t patches = rows_ * cols_;
  return OrThrow(model_->EncodePatches(pixel_values_.narrow(0, first * patches, count * patches),
                                       rows_, cols_));
}

void PrefillCase::Prefill(int64_t new_frames) {
  const int64_t first = options_.frames - new_frames;
  std::vector<model::ImageFeature> encoded = Encode(first, new_frames);
  std::move(encoded.begin(), encoded.end(), features_.begin() + first);
  const model::ContextDims dims = model::DimsOf(model_->geometry(), model::ContextForm::kCompact);
  kept_.clear();
  Check(model_->Prefill(
      sequence_, features_,
      [&](int64_t, const at::Tensor& keys, const at::Tensor& values) {
        const model::LayerKeysValues layer = model::SelectForm(keys, values, dims);
        kept_.push_back(layer.keys.contiguous());
        kept_.push_back(layer.values.contiguous());
        return absl::OkStatus();
      },
      model::ContextForm::kCompact));
}

std::vector<double> PrefillCase::LastKeys() {
  Prefill(options_.frames);
  const at::Tensor keys = kept_[kept_.size() - 2][-1][0].to(at::kDouble).contiguous();
  return {keys.const_data_ptr<double>(), keys.const_data_ptr<double>() + keys.numel()};
}

}  // namespace automot::benchmarks
