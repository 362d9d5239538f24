// Points to the BEV encoder's LiDAR picture (spec 3.6): how many points fall into each cell, with
// numpy's rules.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/lidar/point_transform.h"
#include "common/types/observation.h"

namespace automot::lidar {

// Metres, ego frame. A checkpoint may change them (BevGeometry); the defaults are the published.
struct HistogramOptions {
  double min_x = -32.0, max_x = 32.0;
  double min_y = -32.0, max_y = 32.0;
  double pixels_per_meter = 4.0;
  double split_height = 0.2;     // only points above it count
  double max_height = 100.0;     // only points below it count
  int max_count = 5;             // counts are clipped to it
  int64_t max_points = 2000000;  // of one histogram
};

// INVALID_ARGUMENT, naming the value, when points are not triples, more than `max_points`, or not
// finite (the message has the index of the first such point).
absl::Status CheckPoints(absl::Span<const float> xyz, int64_t max_points);
absl::Status CheckPoints(absl::Span<const double> xyz, int64_t max_points);

// Collects points of one or several half sweeps. Not thread-safe; Reset makes it ready for the next
// sweep without new memory.
class HistogramBuilder {
 public:
  // INVALID_ARGUMENT: empty or inverted ranges, sides that are no whole number of cells or above
  // 4096 cells, max_count outside 1..255.
  static absl::StatusOr<HistogramBuilder> Create(const HistogramOptions& options = {});

  // Adds points after `transform`, computed in float64. On an error (as CheckPoints) nothing of
  // this call is counted.
  // xyz: `[points, 3]`, CPU, metres; the ego frame unless `transform` leads there.
  absl::Status Add(absl::Span<const float> xyz, const PointTransform& transform = {});
  absl::Status Add(absl::Span<const double> xyz, const PointTransform& transform = {});

  // counts: `[rows = y, columns = x]`, uint8, clipped to max_count. Cells are half-open, the last
  // one of an axis also contains the upper limit. Valid until the next call that is not const.
  const std::vector<uint8_t>& counts() const { return counts_; }
  void Reset();

  int rows() const { return rows_; }
  int columns() const { return columns_; }

 private:
  explicit HistogramBuilder(const HistogramOptions& options);
  template <typename T>
  absl::Status AddPoints(absl::Span<const T> xyz, const PointTransform& transform);
  void Count(Point3 point);

  HistogramOptions options_;
  int rows_ = 0;
  int columns_ = 0;
  std::vector<double> x_edges_;  // [columns + 1]
  std::vector<double> y_edges_;  // [rows + 1]
  int64_t points_ = 0;
  std::vector<uint8_t> counts_;
};

}  // namespace automot::lidar
