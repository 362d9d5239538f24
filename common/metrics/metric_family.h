// Families of series that are all made at the start: one per combination of label values. The
// registry owns them and scrapes them; whoever measures keeps a pointer and writes without a lock.
#pragma once

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>

#include <cstddef>
#include <deque>
#include <functional>
#include <initializer_list>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "common/metrics/labels.h"
#include "common/metrics/metric_names.h"
#include "common/metrics/tick_histogram.h"

namespace automot::metrics {

// Series that nobody has used are left out of a scrape where the combinations are many.
enum class Unused { kShown, kHidden };

// Thread-safe. At() is an index: no lock, no allocation.
template <typename Series>
class Family final : public prometheus::Collectable {
 public:
  // `arguments` make each series: bounds for a histogram, nothing for the others.
  template <typename... Arguments>
  Family(const MetricName& name, std::vector<LabelValues> labels, Unused unused,
         Arguments... arguments)
      : name_(name), labels_(std::move(labels)), unused_(unused) {
    std::size_t combinations = 1;
    for (const LabelValues& label : labels_) combinations *= label.values.size();
    for (std::size_t i = 0; i < combinations; ++i) series_.emplace_back(arguments...);
  }

  // The series of one value per label, each named by its place in LabelValues::values. As many
  // indices as labels, each in range.
  Series& At(std::initializer_list<std::size_t> indices = {}) {
    std::size_t flat = 0;
    const LabelValues* label = labels_.data();
    for (const std::size_t index : indices) flat = flat * (label++)->values.size() + index;
    return series_[flat];
  }

  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  const MetricName name_;
  const std::vector<LabelValues> labels_;
  const Unused unused_;
  std::deque<Series> series_;  // row-major over the labels
};

using CounterFamily = Family<TickCounter>;
using GaugeFamily = Family<TickGauge>;
using HistogramFamily = Family<TickHistogram>;

// A family whose numbers are asked for at each scrape.
class PolledFamily final : public prometheus::Collectable {
 public:
  struct Sample {
    std::vector<std::pair<std::string, std::string>> labels;
    double value = 0.0;
  };
  using Source = std::function<std::vector<Sample>()>;
  enum class Type { kCounter, kGauge };

  PolledFamily(const MetricName& name, Type type, Source source)
      : name_(name), type_(type), source_(std::move(source)) {}

  // Replaces the source. Returns when the earlier one is not being called and never will be again:
  // set an empty one before what it refers to dies.
  void SetSource(Source source);

  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  const MetricName name_;
  const Type type_;
  mutable std::mutex mutex_;
  Source source_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace automot::metrics
