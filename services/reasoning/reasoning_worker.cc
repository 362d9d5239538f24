#include "services/reasoning/reasoning_worker.h"

#include <utility>
#include <vector>

#include "common/concurrency/thread_placement.h"
#include "common/status/status_macros.h"

namespace automot::reasoning {
namespace {

// A frame for warming up, of the checkpoint's camera.
std::shared_ptr<const CameraFrame> GreyFrame(const UnderstandingExpertInfo& info) {
  auto image = std::make_shared<RgbImage>();
  image->width = info.camera_width;
  image->height = info.camera_height;
  image->pixels.assign(static_cast<std::size_t>(info.camera_width) *
                           static_cast<std::size_t>(info.camera_height) * 3,
                       128);
  auto frame = std::make_shared<CameraFrame>();
  frame->image = std::move(image);
  return frame;
}

}  // namespace

ReasoningWorker::ReasoningWorker(const Options& options, ExpertFactory factory,
                                 context::KvBufferPool* pool, const Clock* clock,
                                 WorkSource* source)
    : options_(options), pool_(pool), clock_(clock), source_(source) {
  thread_ = std::thread([this, factory = std::move(factory)] { Main(factory); });
}

ReasoningWorker::~ReasoningWorker() { thread_.join(); }

void ReasoningWorker::Main(const ExpertFactory& factory) {
  NameThread("reasoning");
  LowerThreadPriority(options_.nice_value);
  absl::StatusOr<std::unique_ptr<UnderstandingExpert>> expert = factory();
  absl::Status warm = expert.status();
  if (expert.ok()) {
    expert_ = *std::move(expert);
    warm = WarmUp();
  }
  if (warm.ok()) {
    source_->OnWarm(expert_->info());
    Serve();
  } else {
    source_->OnWarm(warm);
  }
  expert_.reset();
}

absl::Status ReasoningWorker::WarmUp() {
  const std::shared_ptr<const CameraFrame> frame = GreyFrame(expert_->info());
  const int count = expert_->info().history_frames;
  VisionCache cache;
  uint64_t cache_hits = 0;
  AUTOMOT_ASSIGN_OR_RETURN(
      const VisionFeatures features,
      EncodeFrames(std::vector<CameraFramePtr>(static_cast<std::size_t>(count), frame), *expert_,
                   cache, &cache_hits));
  const ContextPrompt prompt = {.target = {.current = {10.0, 0.0}, .next = {20.0, 0.0}}};
  AUTOMOT_ASSIGN_OR_RETURN(
      const ContextPlan plan,
      expert_->PlanContext(prompt, count, context::ContextLayout::Kind::kCompact));
  context::KvBuffer keys_values;
  AUTOMOT_ASSIGN_OR_RETURN(keys_values, pool_->Acquire(plan.layout));
  AUTOMOT_RETURN_IF_ERROR(expert_->Prefill(plan, features, keys_values, [](int) {}));
  if (options_.publish_decisions) {
    AUTOMOT_RETURN_IF_ERROR(
        expert_->Decide(plan, keys_values, {.camera = frame->image, .prompt = prompt}).status());
  }
  return MeasureBatches(plan, features);
}

// What a batch is worth is known before the first one is formed. Encoding and decisions, which each
// refresh does by itself, are seen with the first real runs.
absl::Status ReasoningWorker::MeasureBatches(const ContextPlan& plan,
                                             const VisionFeatures& features) {
  if (options_.max_batch < 2) return absl::OkStatus();
  std::vector<context::KvBuffer> buffers;
  std::vector<PrefillItem> items;
  buffers.reserve(static_cast<std::size_t>(options_.max_batch));
  for (int batch = 1; batch <= options_.max_batch; ++batch) {
    AUTOMOT_ASSIGN_OR_RETURN(buffers.emplace_back(), pool_->Acquire(plan.layout));
    items.push_back({&plan, &features, &buffers.back()});
    const absl::Duration begin = clock_->Now();
    AUTOMOT_RETURN_IF_ERROR(expert_->PrefillBatch(items, [](std::size_t, int) {}));
    source_->OnRefreshed(batch, clock_->Now() - begin);
  }
  return absl::OkStatus();
}

void ReasoningWorker::Serve() {
  while (source_->WaitForWork()) {
    RunDueRefreshes();
    if (std::unique_ptr<SceneQuestion> question = source_->TakeQuestion()) Answer(*question);
  }
}

void ReasoningWorker::RunDueRefreshes() {
  for (;;) {
    const std::vector<RefreshJob> jobs = source_->TakeRefreshes();
    if (jobs.empty()) return;
    const absl::Duration begin = clock_->Now();
    Refresh(jobs);
    source_->OnRefreshed(static_cast<int>(jobs.size()), clock_->Now() - begin);
  }
}

void ReasoningWorker::Refresh(absl::Span<const RefreshJob> jobs) {
  using Result = absl::StatusOr<ContextRefresh::Result>;
  ContextRefresh refresh(expert_.get(), pool_, clock_, options_.publish_decisions);
  refresh.Run(jobs,
              {.wanted = [&](const RefreshJob& job) { return source_->IsWanted(job); },
               .begin = [&](const RefreshJob& job) { return source_->BeginSnapshot(job); },
               .on_layers = [](const RefreshJob& job, const context::SnapshotPtr& building,
                               int layers_ready) { job.owner->SendLayers(building, layers_ready); },
               .end = [&](const RefreshJob& job,
                          const Result& result) { source_->EndRefresh(job, result); }});
}

// Costs nothing once nobody waits for the answer: refreshes wait for what the expert does here.
void ReasoningWorker::Answer(SceneQuestion& question) {
  const auto yield = [this] { RunDueRefreshes(); };
  VisionFeatures features;
  for (const CameraFramePtr& frame : question.frames) {
    if (question.abandoned()) return question.on_done(Abandoned());
    uint64_t cache_hits = 0;
    absl::StatusOr<VisionFeatures> feature =
        EncodeFrames({frame}, *expert_, *question.cache, &cache_hits);
    if (!feature.ok()) return question.on_done(feature.status());
    features.push_back(std::move(feature->front()));
    yield();
  }
  if (question.abandoned()) return question.on_done(Abandoned());
  question.on_done(
      expert_->Ask(question.question, features, question.options, question.on_text, yield));
}

}  // namespace automot::reasoning
