#include "tests/unit/metrics_page/metrics_table.h"

#include <regex>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace automot::metrics {
namespace {

// Cells of a table's line; empty for other lines.
std::vector<std::string> Cells(const std::string& line) {
  if (line.empty() || line.front() != '|') return {};
  std::vector<std::string> cells = absl::StrSplit(line, '|');
  cells.erase(cells.begin());
  if (!cells.empty()) cells.pop_back();
  for (std::string& cell : cells) cell = std::string(absl::StripAsciiWhitespace(cell));
  return cells;
}

// Everything in backquotes.
std::set<std::string> Quoted(const std::string& cell) {
  std::set<std::string> quoted;
  const std::regex pattern("`([^`]+)`");
  for (std::sregex_iterator i(cell.begin(), cell.end(), pattern), end; i != end; ++i) {
    quoted.insert((*i)[1]);
  }
  return quoted;
}

std::set<double> Numbers(const std::string& cell) {
  std::set<double> numbers;
  for (const absl::string_view part : absl::StrSplit(cell, ", ")) {
    double number = 0.0;
    if (absl::SimpleAtod(part, &number)) numbers.insert(number);
  }
  return numbers;
}

void ReadValues(const std::vector<std::string>& cells, MetricsTable* table) {
  std::set<std::string> metrics = Quoted(cells[1]);
  if (cells[1] == "all") metrics.insert("all");
  std::set<std::string> values = Quoted(cells[2]);
  // Metrics named in passing are no values.
  std::erase_if(values, [](const std::string& value) { return value.starts_with("automot_"); });
  if (cells[2] == "free text") values.insert("*");
  for (const std::string& label : Quoted(cells[0])) {
    for (const std::string& metric : metrics) table->values[{metric, label}] = values;
  }
}

// The metric that a sample's name belongs to.
std::string BaseName(const std::string& sample, const std::map<std::string, MetricRow>& rows) {
  for (const char* suffix : {"_bucket", "_sum", "_count"}) {
    absl::string_view base = sample;
    if (!absl::ConsumeSuffix(&base, suffix)) continue;
    const auto row = rows.find(std::string(base));
    if (row != rows.end() && row->second.type != "counter" && row->second.type != "gauge") {
      return row->first;
    }
  }
  return sample;
}

void ReadSample(const std::string& sample, const std::string& labels, MetricsTable* table) {
  static const std::regex kLabel("([a-z_]+)=\"([^\"]*)\"");
  const std::string name = BaseName(sample, table->rows);
  MetricRow& row = table->rows[name];
  for (std::sregex_iterator i(labels.begin(), labels.end(), kLabel), end; i != end; ++i) {
    const std::string label = (*i)[1];
    const std::string value = (*i)[2];
    if (label == "le") {
      double bound = 0.0;
      if (value != "+Inf" && absl::SimpleAtod(value, &bound)) row.buckets.insert(bound);
      continue;
    }
    row.labels.insert(label);
    table->values[{name, label}].insert(value);
  }
}

}  // namespace

MetricsTable ParseDocument(const std::string& markdown) {
  MetricsTable table;
  std::map<std::string, std::string> bucket_names;        // by metric
  std::map<std::string, std::set<double>> bucket_bounds;  // by their name
  for (const std::string& line : std::vector<std::string>(absl::StrSplit(markdown, '\n'))) {
    const std::vector<std::string> cells = Cells(line);
    if (cells.size() == 6 && !Quoted(cells[0]).empty()) {
      const std::string name = *Quoted(cells[0]).begin();
      table.rows[name] = {cells[1], Quoted(cells[2]), {}};
      bucket_names[name] = cells[4];
    } else if (cells.size() == 3 && !Quoted(cells[0]).empty()) {
      ReadValues(cells, &table);
    } else if (cells.size() == 2) {
      bucket_bounds[cells[0]] = Numbers(cells[1]);
    }
  }
  for (const auto& [metric, buckets] : bucket_names) {
    if (!buckets.empty()) table.rows[metric].buckets = bucket_bounds[buckets];
  }
  return table;
}

MetricsTable ParseScrape(const std::string& text) {
  static const std::regex kType("# TYPE ([a-zA-Z0-9_]+) ([a-z]+)");
  static const std::regex kSample("([a-zA-Z0-9_]+)(\\{.*\\})? [^ ]+");
  MetricsTable table;
  for (const std::string& line : std::vector<std::string>(absl::StrSplit(text, '\n'))) {
    std::smatch match;
    if (std::regex_match(line, match, kType)) {
      table.rows[match[1]].type = match[2];
    } else if (std::regex_match(line, match, kSample)) {
      ReadSample(match[1], match[2], &table);
    }
  }
  return table;
}

std::string ToString(const MetricRow& row) {
  return absl::StrCat(row.type, " {", absl::StrJoin(row.labels, ","), "} buckets ",
                      absl::StrJoin(row.buckets, " "));
}

}  // namespace automot::metrics
