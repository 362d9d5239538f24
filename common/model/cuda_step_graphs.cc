#include "common/model/cuda_step_graphs.h"

#ifdef AUTOMOT_WITH_CUDA

#include <ATen/cuda/CUDAEvent.h>
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/model/context_stack.h"
#include "common/model/torch_status.h"
#include "common/status/status_macros.h"

namespace automot::model {
namespace {

// Steps before a capture: cuBLAS and the allocator make their workspaces in them.
constexpr int kWarmUpSteps = 2;

// Pinned twin of a device tensor.
at::Tensor PinnedLike(const at::Tensor& device) {
  return at::empty(device.sizes(), device.options().device(at::kCPU).pinned_memory(true));
}

// One batch size and prefix length: memory that never moves, and the graph over it.
class Bucket {
 public:
  Bucket(const ActionModel& model, int64_t batch, int64_t tokens)
      : model_(model),
        batch_(batch),
        tokens_(tokens),
        contexts_(model.geometry(), model.options().model, batch, tokens),
        slots_(static_cast<size_t>(batch)) {
    const BevGeometry& bev = model.geometry().bev;
    const auto place = at::TensorOptions().dtype(at::kFloat).device(model.options().model.device);
    inputs_ = {
        at::zeros({batch, bev.feature_channels, bev.lidar_grid_rows, bev.lidar_grid_cols}, place),
        at::zeros({batch, model.geometry().action.target_points, 2}, place),
        at::zeros({batch}, place)};
    points_ = PinnedLike(inputs_.target_points).zero_();
    speed_ = PinnedLike(inputs_.speed).zero_();
  }

  bool Holds(int64_t batch, int64_t tokens) const { return batch <= batch_ && tokens <= tokens_; }

  void Capture(const c10::cuda::CUDAStream& stream) {
    for (int i = 0; i < kWarmUpSteps; ++i) device_ = Compute();
    stream.synchronize();
    host_ = {{PinnedLike(device_.decision.logits), PinnedLike(device_.decision.ids),
              PinnedLike(device_.decision.probabilities)},
             PinnedLike(device_.route_raw),
             PinnedLike(device_.route),
             PinnedLike(device_.wp_offsets),
             PinnedLike(device_.waypoints),
             {}};
    // Only this thread may not allocate meanwhile: other services of the process go on.
    graph_.capture_begin({0, 0}, cudaStreamCaptureModeThreadLocal);
    device_ = Compute();
    Download();
    graph_.capture_end();
  }

  absl::Status Upload(const ActionInputs& inputs, absl::Span<const ContextUse> uses) {
    const auto batch = static_cast<int64_t>(uses.size());
    for (int64_t i = 0; i < batch; ++i) AUTOMOT_RETURN_IF_ERROR(PutContext(i, uses[i]));
    inputs_.bev_feature.narrow(0, 0, batch).copy_(inputs.bev_feature, /*non_blocking=*/true);
    points_.narrow(0, 0, batch).copy_(inputs.target_points);
    speed_.narrow(0, 0, batch).copy_(inputs.speed);
    inputs_.target_points.copy_(points_, /*non_blocking=*/true);
    inputs_.speed.copy_(speed_, /*non_blocking=*/true);
    return absl::OkStatus();
  }

  void Replay() { graph_.replay(); }

  // Of the first `batch` vehicles. Copies: the next step overwrites the pinned memory.
  ActionOutput Result(int64_t batch) const {
    const auto first = [batch](const at::Tensor& t) { return t.narrow(0, 0, batch).clone(); };
    return {{first(host_.decision.logits), first(host_.decision.ids),
             first(host_.decision.probabilities)},
            first(host_.route_raw),
            first(host_.route),
            first(host_.wp_offsets),
            first(host_.waypoints),
            {}};
  }

 private:
  ActionOutput Compute() const {
    const ContextUse use{&contexts_.context()};
    return model_.Compute(inputs_, {&use, 1}, HiddenRows::kHeadsOnly);
  }

  void Download() {
    const auto copy = [](at::Tensor to, const at::Tensor& from) { to.copy_(from, true); };
    copy(host_.decision.logits, device_.decision.logits);
    copy(host_.decision.ids, device_.decision.ids);
    copy(host_.decision.probabilities, device_.decision.probabilities);
    copy(host_.route_raw, device_.route_raw);
    copy(host_.route, device_.route);
    copy(host_.wp_offsets, device_.wp_offsets);
    copy(host_.waypoints, device_.waypoints);
  }

  absl::Status PutContext(int64_t slot, const ContextUse& use) {
    const std::pair<uint64_t, int64_t> wanted(use.context->generation, use.reuse);
    auto& held = slots_[static_cast<size_t>(slot)];
    if (held == wanted) return absl::OkStatus();
    AUTOMOT_RETURN_IF_ERROR(contexts_.Put(slot, *use.context, model_.RotaryOf(use)));
    held = wanted;
    return absl::OkStatus();
  }

  const ActionModel& model_;
  const int64_t batch_, tokens_;
  ContextStack contexts_;
  std::vector<std::pair<uint64_t, int64_t>> slots_;  // generation and reuse of what a slot holds
  ActionInputs inputs_;                              // device
  at::Tensor points_, speed_;                        // pinned
  ActionOutput device_, host_;                       // of the graph; host_ is pinned
  at::cuda::CUDAGraph graph_;
};

class Graphs final : public CudaStepGraphs {
 public:
  explicit Graphs(const at::Device& device)
      : stream_(c10::cuda::getStreamFromPool(/*isHighPriority=*/true, device.index())) {}

  // Large buckets first: the smaller ones then fit into memory that the pool has.
  void CaptureAll(const ActionModel& model, const StepBuckets& buckets) {
    const c10::cuda::CUDAStreamGuard guard(stream_);
    for (const int64_t batch : buckets.batches) {
      for (const int64_t tokens : buckets.prefixes) {
        buckets_.push_back(std::make_unique<Bucket>(model, batch, tokens));
      }
    }
    for (auto bucket = buckets_.rbegin(); bucket != buckets_.rend(); ++bucket) {
      (*bucket)->Capture(stream_);
    }
  }

  absl::StatusOr<ActionOutput> Plan(const ActionInputs& inputs,
                                    absl::Span<const ContextUse> uses) override {
    AUTOMOT_ASSIGN_OR_RETURN(Bucket* const bucket, BucketFor(uses));
    return CatchTorch("replaying the action expert", [&]() -> absl::StatusOr<ActionOutput> {
      const c10::cuda::CUDAStreamGuard guard(stream_);
      AUTOMOT_RETURN_IF_ERROR(bucket->Upload(inputs, uses));
      bucket->Replay();
      done_.record(stream_);
      done_.synchronize();
      return bucket->Result(static_cast<int64_t>(uses.size()));
    });
  }

  c10::Stream stream() const override { return stream_; }

 private:
  absl::StatusOr<Bucket*> BucketFor(absl::Span<const ContextUse> uses) const {
    int64_t tokens = 0;
    for (const ContextUse& use : uses) {
      if (use.observations != 1) {
        return absl::NotFoundError("graphs hold one observation per context");
      }
      tokens = std::max(tokens, use.context->tokens);
    }
    for (const auto& bucket : buckets_) {
      if (bucket->Holds(static_cast<int64_t>(uses.size()), tokens)) return bucket.get();
    }
    return absl::NotFoundError(absl::StrCat("no graph holds ", uses.size(), " vehicles with ",
                                            tokens, " tokens of context"));
  }

  const c10::cuda::CUDAStream stream_;
  std::vector<std::unique_ptr<Bucket>> buckets_;  // by batch, then prefix, ascending
  at::cuda::CUDAEvent done_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<CudaStepGraphs>> CudaStepGraphs::Capture(
    const ActionModel& model, const StepBuckets& buckets) {
  const at::Device device = model.options().model.device;
  if (!device.is_cuda()) {
    return absl::FailedPreconditionError(
        absl::StrCat("CUDA graphs: the model is on ", device.str()));
  }
  return CatchTorch("capturing the action expert",
                    [&]() -> absl::StatusOr<std::unique_ptr<CudaStepGraphs>> {
                      auto graphs = std::make_unique<Graphs>(device);
                      graphs->CaptureAll(model, buckets);
                      return graphs;
                    });
}

}  // namespace automot::model

#else

namespace automot::model {

absl::StatusOr<std::unique_ptr<CudaStepGraphs>> CudaStepGraphs::Capture(const ActionModel&,
                                                                        const StepBuckets&) {
  return absl::FailedPreconditionError("CUDA graphs: built without AUTOMOT_WITH_CUDA");
}

}  // namespace automot::model

#endif  // AUTOMOT_WITH_CUDA
