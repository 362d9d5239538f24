// An understanding expert that takes as long per layer as it is told, and else nothing: it waits on
// a timer, so that a lane's own processor time can be told apart.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <unordered_set>

#include "services/reasoning/understanding_expert.h"
#include "tests/benchmark/context/bench_snapshot.h"

namespace automot::benchmarks {

// Thread-safe.
struct TimedExpertControl {
  context::ContextLayout layout = kFullPublished;
  std::atomic<int64_t> layer_us{0};
  std::atomic<int> buffers{0};  // that were filled with noise so far
};

inline constexpr char kBenchRevision[] = "00112233445566778899aabbccddeeff";

class TimedExpert final : public reasoning::UnderstandingExpert {
 public:
  explicit TimedExpert(std::shared_ptr<TimedExpertControl> control);

  const reasoning::UnderstandingExpertInfo& info() const override { return info_; }
  absl::StatusOr<std::shared_ptr<const reasoning::VisionFeature>> EncodeFrame(
      const RgbImage& image) override;
  absl::StatusOr<reasoning::ContextPlan> PlanContext(const reasoning::ContextPrompt& prompt,
                                                     int image_count,
                                                     context::ContextLayout::Kind kind) override;
  // Fills a buffer with noise the first time that it sees it, and afterwards writes a version and a
  // time.
  absl::Status PrefillBatch(absl::Span<const reasoning::PrefillItem> batch,
                            const std::function<void(std::size_t, int)>& on_layer) override;
  absl::StatusOr<Decision> Decide(const reasoning::ContextPlan& plan,
                                  const context::KvBuffer& keys_values,
                                  const reasoning::DecisionInputs& inputs) override;
  absl::StatusOr<bool> Ask(std::string_view question, const reasoning::VisionFeatures& features,
                           const reasoning::AskOptions& options,
                           const std::function<bool(std::string_view)>& on_text,
                           const std::function<void()>& yield) override;

 private:
  void FillOne(const reasoning::PrefillItem& item, const std::function<void(int)>& on_layer);

  const std::shared_ptr<TimedExpertControl> control_;
  const reasoning::UnderstandingExpertInfo info_;
  std::unordered_set<const void*> filled_;
  uint64_t version_ = 0;
};

}  // namespace automot::benchmarks
