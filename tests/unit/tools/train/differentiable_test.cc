// The modules bound to parameters: the same numbers as when they serve, and gradients that finite
// differences confirm.
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <stdexcept>

#include "common/model/action_model.h"
#include "common/model/bev/bev_encoder.h"
#include "common/model/understanding_model.h"
#include "gtest/gtest.h"
#include "tools/train/context_batch.h"
#include "tools/train/parameters.h"

namespace automot::train {
namespace {

constexpr char kTiny[] = AUTOMOT_SOURCE_DIR "/tests/golden/data/tiny";
constexpr double kTolerance = 1e-5;

template <typename T>
T OrThrow(absl::StatusOr<T> value) {
  if (!value.ok()) throw std::runtime_error(std::string(value.status().message()));
  return std::move(value).value();
}

const model::Checkpoint& Tiny() {
  static const auto* const kCheckpoint = new auto(OrThrow(model::Checkpoint::Open(kTiny)));
  return **kCheckpoint;
}
const model::Tokenizer& TinyTokenizer() {
  static const auto* const kTokenizer =
      new auto(OrThrow(model::Tokenizer::Load(Tiny().tokenizer_path())));
  return **kTokenizer;
}

// Prefix, two pictures, words. Pictures and words are arbitrary.
struct Prompt {
  at::Tensor patches = at::randn({2 * 24, 1536});
  std::vector<int64_t> prefix = {5, 17, 40}, words = {8, 9, 10, 11, 12};
};

// What the decoder makes of the prompt: the keys and values of each layer, then the logits after
// two rows.
std::vector<at::Tensor> RunUnderstanding(const model::VisionTower& vision,
                                         const model::TextDecoder& decoder, const Prompt& prompt,
                                         ContextLayers* context) {
  const std::vector<model::ImageFeature> features = vision.Encode(prompt.patches, 4, 6);
  const auto sequence = OrThrow(model::BuildSequence(
      Tiny().geometry(), prompt.prefix, std::vector<model::ImageGrid>(2, {2, 3}), prompt.words));
  const model::SequenceInput input{&sequence, features};
  std::vector<at::Tensor> out;
  const model::ContextDims dims = model::DimsOf(Tiny().geometry(), model::ContextForm::kCompact);
  const absl::Status ran =
      decoder.Prefill({&input, 1}, model::ContextForm::kCompact,
                      [&](size_t, int64_t, const at::Tensor& keys, const at::Tensor& values) {
                        const model::LayerKeysValues kept = model::SelectForm(keys, values, dims);
                        out.insert(out.end(), {kept.keys, kept.values});
                        if (context != nullptr) context->layers.push_back(kept);
                        return absl::OkStatus();
                      });
  if (!ran.ok()) throw std::runtime_error(std::string(ran.message()));
  if (context != nullptr) {
    context->tokens = sequence.tokens();
    context->position_start = sequence.next_position;
  }
  const std::vector<int64_t> rows = {sequence.tokens() - 3, sequence.tokens() - 1};
  out.push_back(decoder.Score({&input, 1}, {&rows, 1}));
  return out;
}

struct Scene {
  at::Tensor rgb = at::randint(0, 256, {2, 64, 128, 3}).to(at::kByte);
  at::Tensor counts = at::randint(0, 6, {2, 1, 256, 256}).to(at::kByte);
  at::Tensor points = at::randn({2, 2, 2}) * 10, speed = at::rand({2}) * 10;
};

std::vector<at::Tensor> RunAction(const model::BevEncoder& bev, const model::ActionModel& action,
                                  const Scene& scene, const model::ActionContext& context) {
  const model::ActionInputs inputs{bev.Compute(scene.rgb, scene.counts), scene.points, scene.speed};
  const model::ContextUse use{.context = &context};
  const model::ActionOutput output = action.Compute(inputs, {&use, 1}, model::HiddenRows::kAll);
  return {output.route, output.waypoints, output.decision.logits, output.hidden};
}

class Differentiable : public testing::Test {
 protected:
  Differentiable() : parameters_(Fresh()) {
    at::set_num_threads(1);
    at::manual_seed(7);
    at::NoGradGuard no_grad;
    model::WeightReader reader(Tiny(), {}, model::ModelPart::kUnderstanding);
    const auto vision = OrThrow(model::VisionTower::Load(reader));
    const auto decoder = OrThrow(model::TextDecoder::Load(reader));
    for (int i = 0; i < 2; ++i) {
      ContextLayers context;
      Prompt prompt;
      if (i == 1) prompt.words.resize(3);  // contexts of two lengths
      RunUnderstanding(*vision, *decoder, prompt, &context);
      contexts_.push_back(std::move(context));
    }
  }

  static Parameters Fresh() {
    // Initialised here because a member needs the seed as well.
    at::manual_seed(7);
    return OrThrow(Parameters::Load(Tiny(), at::kCPU));
  }

  std::vector<at::Tensor> Understand(const Prompt& prompt) {
    ParameterSource source(parameters_);
    const auto vision = OrThrow(model::VisionTower::Load(source));
    const auto decoder = OrThrow(model::TextDecoder::Load(source));
    return RunUnderstanding(*vision, *decoder, prompt, nullptr);
  }

  std::vector<at::Tensor> Act(const Scene& scene, bool batch_statistics = false) {
    ParameterSource source(parameters_, batch_statistics);
    const auto bev = OrThrow(model::BevEncoder::FromWeights(source));
    const model::ActionOptions options{source.options(), model::DecisionLogits::kFull};
    const auto action = OrThrow(model::ActionModel::FromWeights(source, TinyTokenizer(), options));
    const model::MultiAxisRotary rotary(Tiny().geometry().text, at::kCPU);
    std::vector<at::Tensor> out =
        RunAction(*bev, *action, scene, StackContexts(Tiny().geometry(), rotary, contexts_));
    const auto speeds = OrThrow(model::FutureSpeedHead::Load(source));
    out.push_back(speeds.Run(out[3].select(1, 66)));
    return out;
  }

  // Compares the gradients of a fixed mixture of the outputs with finite differences, at the entry
  // of each parameter whose gradient is largest.
  void ExpectGradients(const std::vector<std::string>& names,
                       const std::function<std::vector<at::Tensor>()>& run) {
    const auto loss = [&] {
      at::Tensor sum = at::zeros({}, at::kDouble);
      int64_t part = 0;
      for (const at::Tensor& x : run()) {
        const at::Tensor mix = at::sin(at::arange(x.numel(), at::kDouble) * 0.7 + ++part);
        sum = sum + (x.to(at::kDouble).flatten() * mix).mean();
      }
      return sum;
    };
    loss().backward();
    for (const std::string& name : names) ExpectGradient(name, loss);
  }

  void ExpectGradient(const std::string& name, const std::function<at::Tensor()>& loss) {
    const at::Tensor parameter = parameters_.tensors().at(name);
    ASSERT_TRUE(parameter.grad().defined()) << name << " has no gradient";
    const int64_t at = parameter.grad().abs().argmax().item<int64_t>();
    const double gradient = parameter.grad().flatten()[at].item<double>();
    EXPECT_GT(std::abs(gradient), 1e-7) << name;
    const at::Tensor entry = parameter.detach().view({-1})[at];
    const float before = entry.item<float>(), step = 2e-3F;
    double difference = 0;
    for (const float sign : {1.0F, -1.0F}) {
      entry.fill_(before + sign * step);
      difference += sign * loss().item<double>() / (2.0 * step);
    }
    entry.fill_(before);
    EXPECT_NEAR(difference / gradient, 1.0, 0.05) << name << " gradient " << gradient;
  }

  Parameters parameters_;
  std::vector<ContextLayers> contexts_;
};

void ExpectSame(const std::vector<at::Tensor>& trained, const std::vector<at::Tensor>& served) {
  for (size_t i = 0; i < served.size(); ++i) {
    ASSERT_EQ(trained[i].sizes(), served[i].sizes());
    // Random pictures make values far from 1: of their size, then.
    const double size = std::max(1.0, served[i].abs().max().item<double>());
    EXPECT_LT((trained[i] - served[i]).abs().max().item<double>(), kTolerance * size)
        << "output " << i;
  }
}

TEST_F(Differentiable, TheUnderstandingExpertTrainsAsItServes) {
  parameters_.Train(IsUnderstandingWeight);
  const Prompt prompt;
  const std::vector<at::Tensor> trained = Understand(prompt);
  EXPECT_TRUE(trained.back().requires_grad());
  const c10::InferenceMode inference;
  model::WeightReader reader(Tiny(), {}, model::ModelPart::kUnderstanding);
  const auto vision = OrThrow(model::VisionTower::Load(reader));
  const auto decoder = OrThrow(model::TextDecoder::Load(reader));
  ExpectSame(trained, RunUnderstanding(*vision, *decoder, prompt, nullptr));
}

TEST_F(Differentiable, TheActionExpertTrainsAsItServes) {
  parameters_.Train(IsActionWeight);
  const Scene scene;
  const std::vector<at::Tensor> trained = Act(scene);
  EXPECT_TRUE(trained[0].requires_grad());
  const auto bev = OrThrow(model::BevEncoder::Load(Tiny(), {}));
  const auto action = OrThrow(
      model::ActionModel::Load(Tiny(), TinyTokenizer(), {{}, model::DecisionLogits::kFull}));
  const c10::InferenceMode inference;
  const model::MultiAxisRotary rotary(Tiny().geometry().text, at::kCPU);
  ExpectSame(trained,
             RunAction(*bev, *action, scene, StackContexts(Tiny().geometry(), rotary, contexts_)));
}

// Contexts that are stacked and padded give what each gives alone.
TEST_F(Differentiable, PaddingOfAStackIsHidden) {
  const Scene scene;
  const std::vector<at::Tensor> both = Act(scene);
  const Scene second{scene.rgb.narrow(0, 1, 1), scene.counts.narrow(0, 1, 1),
                     scene.points.narrow(0, 1, 1), scene.speed.narrow(0, 1, 1)};
  contexts_.erase(contexts_.begin());
  const std::vector<at::Tensor> alone = Act(second);
  for (size_t i = 0; i < alone.size(); ++i) {
    EXPECT_LT((both[i].narrow(0, 1, 1) - alone[i]).abs().max().item<double>(), kTolerance);
  }
}

// Whatever is in it, for one of a batch or for all.
TEST_F(Differentiable, OfAHiddenContextNothingIsSeen) {
  const Scene scene;
  const std::vector<at::Tensor> seen = Act(scene);
  contexts_[1].hidden = true;
  const std::vector<at::Tensor> one = Act(scene);
  EXPECT_TRUE(one[1][0].equal(seen[1][0]));
  EXPECT_GT((one[1][1] - seen[1][1]).abs().max().item<double>(), 1e-3);
  for (model::LayerKeysValues& layer : contexts_[1].layers) layer.keys = layer.keys + 1;
  contexts_[0].hidden = true;
  const std::vector<at::Tensor> none = Act(scene);
  EXPECT_LT((none[1][1] - one[1][1]).abs().max().item<double>(), kTolerance);
}

TEST_F(Differentiable, GradientsOfTheUnderstandingExpert) {
  parameters_.Train(IsUnderstandingWeight);
  const Prompt prompt;
  ExpectGradients({"vision_model.patch_embed.proj.weight", "vision_model.pos_embed.weight",
                   "vision_model.blocks.1.attn.qkv.weight",
                   "vision_model.deepstack_merger_list.1.linear_fc1.bias",
                   "language_model.model.embed_tokens.weight",
                   "language_model.model.layers.1.self_attn.k_proj.weight",
                   "language_model.model.layers.2.self_attn.q_norm.weight",
                   "language_model.model.layers.0.mlp.gate_proj.weight"},
                  [&] { return Understand(prompt); });
}

TEST_F(Differentiable, GradientsOfTheActionExpert) {
  parameters_.Train(IsActionWeight);
  const Scene scene;
  // Of the trunks only the last stage: further down the kinks of the activations spoil finite
  // differences.
  ExpectGradients(
      {"bev_encoder_proj.weight", "target_point_encoder.mlp.4.weight", "route_queries.weight",
       "language_model.model.layers.0.self_attn.q_proj_mot_gen.weight",
       "language_model.model.layers.1.self_attn.k_norm_mot_gen.weight",
       "language_model.model.layers.3.mlp_mot_gen.up_proj.weight",
       "language_model.model.norm_mot_gen.weight", "route_head.mlp.0.weight",
       "velocity_head.0.weight", "bev_encoder.lidar_encoder.s4.b1.conv3.conv.weight",
       "bev_encoder.lidar_encoder.s4.b1.conv3.bn.weight",
       "bev_encoder.transformers.3.blocks.0.attn.value.weight",
       "bev_encoder.img_channel_to_lidar.3.weight"},
      [&] { return Act(scene); });
}

TEST_F(Differentiable, GradientsUnderBatchStatistics) {
  parameters_.Train(IsActionWeight);
  const Scene scene;
  ExpectGradients({"bev_encoder.lidar_encoder.s4.b1.conv3.bn.bias"},
                  [&] { return Act(scene, /*batch_statistics=*/true); });
}

TEST_F(Differentiable, BatchStatisticsMoveTheStoredOnes) {
  const at::Tensor stored =
      parameters_.tensors().at("bev_encoder.lidar_encoder.stem.bn.running_mean");
  const at::Tensor before = stored.clone();
  Act(Scene());
  EXPECT_TRUE(stored.equal(before));
  Act(Scene(), /*batch_statistics=*/true);
  EXPECT_FALSE(stored.equal(before));
}

TEST_F(Differentiable, EveryTrainedWeightGetsAGradient) {
  parameters_.Train(IsActionWeight);
  at::Tensor sum = at::zeros({});
  for (const at::Tensor& x : Act(Scene())) sum = sum + x.square().sum();
  sum.backward();
  for (const std::string& name : parameters_.trained()) {
    EXPECT_TRUE(parameters_.tensors().at(name).grad().defined()) << name;
  }
  parameters_.Train(IsUnderstandingWeight);
  Understand(Prompt()).back().sum().backward();
  for (const std::string& name : parameters_.trained()) {
    EXPECT_TRUE(parameters_.tensors().at(name).grad().defined()) << name;
  }
}

}  // namespace
}  // namespace automot::train
