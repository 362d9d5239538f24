#include "common/image/resize.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "common/image/decode.h"
#include "common/status/status_macros.h"

namespace automot::image {
namespace {

constexpr int kPrecisionBits = 22;
constexpr int32_t kHalf = int32_t{1} << (kPrecisionBits - 1);

double Sinc(double x) {
  if (x == 0.0) return 1.0;
  x *= std::numbers::pi;
  return std::sin(x) / x;
}

double Lanczos(double x) { return -3.0 <= x && x < 3.0 ? Sinc(x) * Sinc(x / 3.0) : 0.0; }

double Bicubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
  if (x < 2.0) return (((x - 5.0) * x + 8.0) * x - 4.0) * a;
  return 0.0;
}

double Weight(ResizeFilter filter, double x) {
  return filter == ResizeFilter::kLanczos ? Lanczos(x) : Bicubic(x);
}

// Weights of the inputs first .. first + weights.size() - 1 for one output, normalised in float64,
// then rounded away from zero at halves.
void FillWeights(ResizeFilter filter, int first, double center, double shrink,
                 absl::Span<double> scratch, int32_t* weights) {
  double sum = 0.0;
  for (size_t tap = 0; tap < scratch.size(); ++tap) {
    const double input = static_cast<double>(tap) + first;
    scratch[tap] = Weight(filter, (input - center + 0.5) * shrink);
    sum += scratch[tap];
  }
  for (size_t tap = 0; tap < scratch.size(); ++tap) {
    const double weight = sum != 0.0 ? scratch[tap] / sum : scratch[tap];
    const double scaled = weight * (1 << kPrecisionBits);
    weights[tap] = static_cast<int32_t>(weight < 0.0 ? scaled - 0.5 : scaled + 0.5);
  }
}

ResampleTable MakeTable(int inputs, int outputs, ResizeFilter filter) {
  const double scale = static_cast<double>(inputs) / outputs;
  const double stretch = std::max(scale, 1.0);  // of the filter: shrinking averages more inputs
  const double support = (filter == ResizeFilter::kLanczos ? 3.0 : 2.0) * stretch;
  ResampleTable table;
  table.taps = static_cast<int>(std::ceil(support)) * 2 + 1;
  table.first.resize(outputs);
  table.count.resize(outputs);
  table.weights.resize(static_cast<size_t>(outputs) * table.taps);
  std::vector<double> scratch(table.taps);
  for (int out = 0; out < outputs; ++out) {
    const double center = (out + 0.5) * scale;
    const int first = std::max(static_cast<int>(center - support + 0.5), 0);
    const int end = std::min(static_cast<int>(center + support + 0.5), inputs);
    table.first[out] = first;
    table.count[out] = end - first;
    FillWeights(filter, first, center, 1.0 / stretch, absl::MakeSpan(scratch).first(end - first),
                table.weights.data() + static_cast<size_t>(out) * table.taps);
  }
  return table;
}

uint8_t Clip(int32_t sum) {
  return static_cast<uint8_t>(std::clamp(sum >> kPrecisionBits, 0, 255));
}

void ResampleRow(const uint8_t* source, const ResampleTable& table, uint8_t* target) {
  const size_t outputs = table.first.size();
  const int32_t* weights = table.weights.data();
  for (size_t out = 0; out < outputs; ++out, weights += table.taps) {
    const uint8_t* pixel = source + int64_t{3} * table.first[out];
    int32_t red = kHalf, green = kHalf, blue = kHalf;
    for (int tap = 0; tap < table.count[out]; ++tap, pixel += 3) {
      red += pixel[0] * weights[tap];
      green += pixel[1] * weights[tap];
      blue += pixel[2] * weights[tap];
    }
    target[3 * out] = Clip(red);
    target[3 * out + 1] = Clip(green);
    target[3 * out + 2] = Clip(blue);
  }
}

// One output row of the vertical pass; the inner loop runs along the row, where it vectorises.
void ResampleColumn(const uint8_t* first_row, size_t row_bytes, absl::Span<const int32_t> weights,
                    int32_t* sums, uint8_t* target) {
  std::fill_n(sums, row_bytes, kHalf);
  for (size_t tap = 0; tap < weights.size(); ++tap) {
    const uint8_t* row = first_row + tap * row_bytes;
    const int32_t weight = weights[tap];
    for (size_t i = 0; i < row_bytes; ++i) sums[i] += row[i] * weight;
  }
  for (size_t i = 0; i < row_bytes; ++i) target[i] = Clip(sums[i]);
}

}  // namespace

absl::Status Resizer::Prepare(ImageSize source) {
  for (const ImageSize size : {source, target_}) {
    if (size.width < 1 || size.height < 1 || size.width > kMaxResizeSide ||
        size.height > kMaxResizeSide) {
      return absl::InvalidArgumentError(
          absl::StrCat("image: cannot resize ", source.width, "x", source.height, " to ",
                       target_.width, "x", target_.height, ", sides must be 1..", kMaxResizeSide));
    }
  }
  if (source == source_) return absl::OkStatus();
  columns_ = MakeTable(source.width, target_.width, filter_);
  rows_ = MakeTable(source.height, target_.height, filter_);
  source_ = source;
  return absl::OkStatus();
}

absl::Status Resizer::Resize(const RgbImage& source, RgbImage& target) {
  AUTOMOT_RETURN_IF_ERROR(CheckImage(source));
  AUTOMOT_RETURN_IF_ERROR(Prepare({source.width, source.height}));
  const size_t source_bytes = size_t{3} * source.width;
  const size_t target_bytes = size_t{3} * target_.width;
  const uint8_t* between = source.pixels.data();
  if (source.width != target_.width) {
    between_.resize(target_bytes * source.height);
    for (int row = 0; row < source.height; ++row) {
      ResampleRow(source.pixels.data() + row * source_bytes, columns_,
                  between_.data() + row * target_bytes);
    }
    between = between_.data();
  }
  target.width = target_.width;
  target.height = target_.height;
  target.pixels.resize(target_bytes * target_.height);
  if (source.height == target_.height) {
    std::copy_n(between, target.pixels.size(), target.pixels.data());
    return absl::OkStatus();
  }
  sums_.resize(target_bytes);
  for (int row = 0; row < target_.height; ++row) {
    const int32_t* weights = rows_.weights.data() + static_cast<size_t>(row) * rows_.taps;
    ResampleColumn(between + rows_.first[row] * target_bytes, target_bytes,
                   {weights, static_cast<size_t>(rows_.count[row])}, sums_.data(),
                   target.pixels.data() + row * target_bytes);
  }
  return absl::OkStatus();
}

absl::StatusOr<RgbImage> ResizeImage(const RgbImage& source, ImageSize target,
                                     ResizeFilter filter) {
  Resizer resizer(target, filter);
  RgbImage resized;
  AUTOMOT_RETURN_IF_ERROR(resizer.Resize(source, resized));
  return resized;
}

}  // namespace automot::image
