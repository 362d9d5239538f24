#include "common/lidar/histogram.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"

namespace automot::lidar {
namespace {

constexpr int kMaxCells = 4096;  // per axis
constexpr std::array<const char*, 3> kAxes = {"x", "y", "z"};

template <typename T>
absl::Status CheckTriples(absl::Span<const T> xyz, int64_t max_points) {
  if (xyz.size() % 3 != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("lidar points: ", xyz.size(), " values are no multiple of 3 (x, y, z)"));
  }
  const auto points = static_cast<int64_t>(xyz.size() / 3);
  if (points > max_points) {
    return absl::InvalidArgumentError(
        absl::StrCat("lidar points: ", points, " points, the limit is ", max_points));
  }
  for (size_t i = 0; i < xyz.size(); ++i) {
    if (std::isfinite(xyz[i])) continue;
    return absl::InvalidArgumentError(absl::StrCat("lidar points: ", kAxes[i % 3], " of point ",
                                                   i / 3, " is ", xyz[i], ", must be finite"));
  }
  return absl::OkStatus();
}

absl::StatusOr<int> CountCells(const char* axis, double min, double max, double per_meter) {
  const double cells = (max - min) * per_meter;
  if (std::isfinite(cells) && std::isfinite(min) && cells >= 1.0 && cells <= kMaxCells &&
      cells == std::floor(cells)) {
    return static_cast<int>(cells);
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "lidar histogram: axis ", axis, " from ", min, " to ", max, " m with ", per_meter,
      " cells per metre must give a whole number of cells, 1..", kMaxCells));
}

// As numpy.linspace: the last edge is the limit itself.
std::vector<double> MakeEdges(double min, double max, int cells) {
  std::vector<double> edges(cells + 1);
  const double step = (max - min) / cells;
  for (int i = 0; i < cells; ++i) edges[i] = i * step + min;
  edges[cells] = max;
  return edges;
}

// Index of the cell that holds `value`; -1 outside. The quotient is only a guess: the edges decide.
int FindCell(const std::vector<double>& edges, double cells_per_meter, double value) {
  const int cells = static_cast<int>(edges.size()) - 1;
  if (!(value >= edges.front() && value <= edges.back())) return -1;
  const double guess = (value - edges.front()) * cells_per_meter;
  int cell = std::clamp(static_cast<int>(guess), 0, cells - 1);
  while (cell > 0 && value < edges[cell]) --cell;
  while (cell + 1 < cells && value >= edges[cell + 1]) ++cell;
  return cell;
}

}  // namespace

absl::Status CheckPoints(absl::Span<const float> xyz, int64_t max_points) {
  return CheckTriples(xyz, max_points);
}

absl::Status CheckPoints(absl::Span<const double> xyz, int64_t max_points) {
  return CheckTriples(xyz, max_points);
}

absl::StatusOr<HistogramBuilder> HistogramBuilder::Create(const HistogramOptions& options) {
  AUTOMOT_ASSIGN_OR_RETURN(const int columns,
                           CountCells("x", options.min_x, options.max_x, options.pixels_per_meter));
  AUTOMOT_ASSIGN_OR_RETURN(const int rows,
                           CountCells("y", options.min_y, options.max_y, options.pixels_per_meter));
  if (options.max_count < 1 || options.max_count > 255) {
    return absl::InvalidArgumentError(
        absl::StrCat("lidar histogram: max_count is ", options.max_count, ", must be 1..255"));
  }
  HistogramBuilder builder(options);
  builder.rows_ = rows;
  builder.columns_ = columns;
  builder.x_edges_ = MakeEdges(options.min_x, options.max_x, columns);
  builder.y_edges_ = MakeEdges(options.min_y, options.max_y, rows);
  builder.counts_.resize(static_cast<size_t>(rows) * columns);
  return builder;
}

HistogramBuilder::HistogramBuilder(const HistogramOptions& options) : options_(options) {}

absl::Status HistogramBuilder::Add(absl::Span<const float> xyz, const PointTransform& transform) {
  return AddPoints(xyz, transform);
}

absl::Status HistogramBuilder::Add(absl::Span<const double> xyz, const PointTransform& transform) {
  return AddPoints(xyz, transform);
}

template <typename T>
absl::Status HistogramBuilder::AddPoints(absl::Span<const T> xyz, const PointTransform& transform) {
  AUTOMOT_RETURN_IF_ERROR(CheckTriples(xyz, options_.max_points - points_));
  points_ += static_cast<int64_t>(xyz.size() / 3);
  for (size_t i = 0; i < xyz.size(); i += 3) {
    Count(transform.Apply({xyz[i], xyz[i + 1], xyz[i + 2]}));
  }
  return absl::OkStatus();
}

void HistogramBuilder::Count(Point3 point) {
  if (!(point.z > options_.split_height && point.z < options_.max_height)) return;
  const int column = FindCell(x_edges_, options_.pixels_per_meter, point.x);
  const int row = FindCell(y_edges_, options_.pixels_per_meter, point.y);
  if (column < 0 || row < 0) return;
  uint8_t& count = counts_[static_cast<size_t>(row) * columns_ + column];
  if (count < options_.max_count) ++count;
}

void HistogramBuilder::Reset() {
  points_ = 0;
  std::fill(counts_.begin(), counts_.end(), uint8_t{0});
}

}  // namespace automot::lidar
