// What is said of metrics, in docs/metrics.md and in a scrape, in one form that compares.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>

namespace automot::metrics {

struct MetricRow {
  std::string type;
  std::set<std::string> labels;
  std::set<double> buckets;  // of a histogram, without infinity

  friend bool operator==(const MetricRow&, const MetricRow&) = default;
};

struct MetricsTable {
  std::map<std::string, MetricRow> rows;  // by name
  // (metric, label) and its values; in the document also ("all", label). "*": any text.
  std::map<std::pair<std::string, std::string>, std::set<std::string>> values;
};

// docs/metrics.md: its tables of metrics, of label values and of buckets.
MetricsTable ParseDocument(const std::string& markdown);

// Prometheus' text format. Labels `le` and the suffixes of histograms and summaries belong to
// their type.
MetricsTable ParseScrape(const std::string& text);

// "name: type {labels}" and the like, for messages.
std::string ToString(const MetricRow& row);

}  // namespace automot::metrics
