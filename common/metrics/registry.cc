#include "common/metrics/registry.h"

#include <prometheus/text_serializer.h>

#include <iterator>
#include <map>

namespace automot::metrics {

void Registry::AddInfo(const MetricName& name,
                       std::vector<std::pair<std::string, std::string>> labels) {
  AddPolled(name, PolledFamily::Type::kGauge, [labels = std::move(labels)] {
    return std::vector<PolledFamily::Sample>{{labels, 1.0}};
  });
}

std::vector<prometheus::MetricFamily> Registry::Collect() const {
  // The text format allows each name once, so the two services' halves of a family are joined.
  std::map<std::string, prometheus::MetricFamily> by_name;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& owned : families_) {
      for (prometheus::MetricFamily& family : owned->Collect()) {
        const auto [known, added] = by_name.try_emplace(family.name, family);
        if (added) continue;
        auto& metrics = known->second.metric;
        metrics.insert(metrics.end(), std::make_move_iterator(family.metric.begin()),
                       std::make_move_iterator(family.metric.end()));
      }
    }
  }
  std::vector<prometheus::MetricFamily> families;
  families.reserve(by_name.size());
  for (auto& [name, family] : by_name) families.push_back(std::move(family));
  return families;
}

std::string Registry::Text() const { return prometheus::TextSerializer().Serialize(Collect()); }

}  // namespace automot::metrics
