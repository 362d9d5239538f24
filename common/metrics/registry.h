// The families of one process. Both services of one process share a registry: families that both
// add are scraped as one.
//
// Thread-safe. Owns the families: pointers that Add* return are valid while the registry lives.
#pragma once

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>

#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "common/metrics/metric_family.h"

namespace automot::metrics {

class Registry final : public prometheus::Collectable {
 public:
  CounterFamily* AddCounters(const MetricName& name, std::vector<LabelValues> labels = {},
                             Unused unused = Unused::kShown) {
    return Add(std::make_unique<CounterFamily>(name, std::move(labels), unused));
  }
  GaugeFamily* AddGauges(const MetricName& name, std::vector<LabelValues> labels = {}) {
    return Add(std::make_unique<GaugeFamily>(name, std::move(labels), Unused::kShown));
  }
  // `bounds` must outlive the registry.
  HistogramFamily* AddHistograms(const MetricName& name, const BucketBounds* bounds,
                                 std::vector<LabelValues> labels = {},
                                 Unused unused = Unused::kShown) {
    return Add(std::make_unique<HistogramFamily>(name, std::move(labels), unused, bounds));
  }
  PolledFamily* AddPolled(const MetricName& name, PolledFamily::Type type,
                          PolledFamily::Source source = nullptr) {
    return Add(std::make_unique<PolledFamily>(name, type, std::move(source)));
  }
  // A gauge that is always 1 and says something by its labels.
  void AddInfo(const MetricName& name, std::vector<std::pair<std::string, std::string>> labels);

  // Every family once, by name.
  std::vector<prometheus::MetricFamily> Collect() const override;
  // As a scrape sees it: Prometheus' text format.
  std::string Text() const;

 private:
  template <typename T>
  T* Add(std::unique_ptr<T> family) {
    T* const raw = family.get();
    const std::lock_guard lock(mutex_);
    families_.push_back(std::move(family));
    return raw;
  }

  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<prometheus::Collectable>> families_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace automot::metrics
