#include "tests/golden/understanding_fixture.h"

#include <cstring>
#include <stdexcept>

namespace automot::golden {
namespace {

void Check(const absl::Status& status) {
  if (!status.ok()) throw std::runtime_error(std::string(status.message()));
}

template <typename T>
T OrThrow(absl::StatusOr<T> value) {
  Check(value.status());
  return std::move(value).value();
}

absl::Span<const int64_t> Ids(const at::Tensor& ids) {
  return {ids.data_ptr<int64_t>(), static_cast<size_t>(ids.numel())};
}

void EncodeFrames(const std::vector<RgbImage>& frames, Context* context) {
  auto encoder = OrThrow(model::FrameEncoder::Create(TinyUnderstandingModel()));
  std::vector<at::Tensor> resized, pixels;
  for (const RgbImage& frame : frames) {
    const RgbImage* picture = OrThrow(encoder.Resize(frame));
    resized.push_back(at::from_blob(const_cast<uint8_t*>(picture->pixels.data()),
                                    {picture->height, picture->width, 3}, at::kByte)
                          .clone());
    pixels.push_back(OrThrow(encoder.Cut({&picture, 1})).pixel_values);
    context->features.push_back(OrThrow(encoder.Encode(frame)));
  }
  context->resized_frames = at::stack(resized);
  context->pixel_values = at::cat(pixels);
}

}  // namespace

const model::UnderstandingModel& TinyUnderstandingModel() {
  static const auto* const kModel =
      new auto(OrThrow(model::UnderstandingModel::Load(TinyCheckpoint(), {})));
  return **kModel;
}

std::vector<RgbImage> ToImages(const at::Tensor& frames) {
  std::vector<RgbImage> images;
  for (int64_t i = 0; i < frames.size(0); ++i) {
    const at::Tensor frame = frames[i].contiguous();
    RgbImage image{static_cast<int>(frame.size(1)), static_cast<int>(frame.size(0)), {}};
    image.pixels.resize(static_cast<size_t>(frame.numel()));
    std::memcpy(image.pixels.data(), frame.data_ptr(), image.pixels.size());
    images.push_back(std::move(image));
  }
  return images;
}

Context RunSlowPath(const GoldenCase& golden, model::InstructionMask mask) {
  Context context;
  EncodeFrames(ToImages(golden.Input("raw_frames")), &context);
  const at::Tensor prefix = golden.Input("prefix_ids");
  const at::Tensor instruction = golden.Input("instruction_ids");
  context.sequence = OrThrow(
      TinyUnderstandingModel().Sequence(Ids(prefix), context.features, Ids(instruction), mask));
  std::vector<at::Tensor> keys, values;
  Check(TinyUnderstandingModel().Prefill(
      context.sequence, context.features,
      [&](int64_t layer, const at::Tensor& k, const at::Tensor& v) {
        if (layer != static_cast<int64_t>(keys.size())) return absl::InternalError("layer order");
        keys.push_back(k.contiguous());
        values.push_back(v.contiguous());
        return absl::OkStatus();
      }));
  context.keys = at::stack(keys);
  context.values = at::stack(values);
  return context;
}

ContextMemory StoreContext(const at::Tensor& keys, const at::Tensor& values, int64_t position_start,
                           model::ContextForm form) {
  const model::ContextDims dims = model::DimsOf(TinyCheckpoint().geometry(), form);
  const int64_t layers = keys.size(0), tokens = keys.size(1);
  ContextMemory memory;
  memory.keys = at::empty({layers, tokens, dims.kv_heads, dims.key_dim});
  memory.values = at::empty({layers, tokens, dims.kv_heads, dims.value_dim});
  memory.buffers = {.form = form, .tokens = tokens, .position_start = position_start};
  const auto bytes = [](const at::Tensor& t) {
    return absl::Span<std::byte>(static_cast<std::byte*>(t.data_ptr()), t.nbytes());
  };
  for (int64_t i = 0; i < layers; ++i) {
    const model::LayerKeysValues layer = model::SelectForm(keys[i], values[i], dims);
    Check(model::CopyLayer(layer, at::kFloat, bytes(memory.keys[i]), bytes(memory.values[i])));
    memory.buffers.keys.push_back(memory.keys[i].data_ptr());
    memory.buffers.values.push_back(memory.values[i].data_ptr());
  }
  return memory;
}

}  // namespace automot::golden
