#include "common/metrics/metric_family.h"

#include <prometheus/client_metric.h>
#include <prometheus/metric_type.h>

#include <cstdint>
#include <limits>
#include <span>

namespace automot::metrics {
namespace {

using prometheus::ClientMetric;

prometheus::MetricType TypeOf(const TickCounter*) { return prometheus::MetricType::Counter; }
prometheus::MetricType TypeOf(const TickGauge*) { return prometheus::MetricType::Gauge; }
prometheus::MetricType TypeOf(const TickHistogram*) { return prometheus::MetricType::Histogram; }

// Each returns whether the series has been used.
bool Read(const TickCounter& counter, ClientMetric* metric) {
  metric->counter.value = static_cast<double>(counter.value());
  return counter.value() != 0;
}

bool Read(const TickGauge& gauge, ClientMetric* metric) {
  metric->gauge.value = gauge.value();
  return gauge.value() != 0.0;
}

bool Read(const TickHistogram& histogram, ClientMetric* metric) {
  const std::span<const double> bounds = histogram.bounds().values();
  uint64_t total = 0;
  for (std::size_t i = 0; i <= bounds.size(); ++i) {
    total += histogram.count(i);
    const double bound = i < bounds.size() ? bounds[i] : std::numeric_limits<double>::infinity();
    metric->histogram.bucket.push_back({total, bound});
  }
  metric->histogram.sample_count = total;
  metric->histogram.sample_sum = histogram.sum();
  return total != 0;
}

// Label values of the series at `flat`, the last label running fastest.
std::vector<ClientMetric::Label> LabelsAt(const std::vector<LabelValues>& labels,
                                          std::size_t flat) {
  std::vector<ClientMetric::Label> result(labels.size());
  for (std::size_t i = labels.size(); i-- > 0;) {
    const std::size_t count = labels[i].values.size();
    result[i] = {labels[i].name, labels[i].values[flat % count]};
    flat /= count;
  }
  return result;
}

}  // namespace

template <typename Series>
std::vector<prometheus::MetricFamily> Family<Series>::Collect() const {
  prometheus::MetricFamily family{
      name_.name, name_.help, TypeOf(static_cast<Series*>(nullptr)), {}};
  for (std::size_t i = 0; i < series_.size(); ++i) {
    ClientMetric metric;
    if (!Read(series_[i], &metric) && unused_ == Unused::kHidden) continue;
    metric.label = LabelsAt(labels_, i);
    family.metric.push_back(std::move(metric));
  }
  return {std::move(family)};
}

template class Family<TickCounter>;
template class Family<TickGauge>;
template class Family<TickHistogram>;

void PolledFamily::SetSource(Source source) {
  const std::lock_guard lock(mutex_);
  source_ = std::move(source);
}

std::vector<prometheus::MetricFamily> PolledFamily::Collect() const {
  const bool counter = type_ == Type::kCounter;
  prometheus::MetricFamily family{
      name_.name,
      name_.help,
      counter ? prometheus::MetricType::Counter : prometheus::MetricType::Gauge,
      {}};
  const std::lock_guard lock(mutex_);
  if (!source_) return {std::move(family)};
  for (const Sample& sample : source_()) {
    ClientMetric metric;
    for (const auto& [name, value] : sample.labels) metric.label.push_back({name, value});
    (counter ? metric.counter.value : metric.gauge.value) = sample.value;
    family.metric.push_back(std::move(metric));
  }
  return {std::move(family)};
}

}  // namespace automot::metrics
