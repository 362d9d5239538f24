#include "tools/train/losses.h"

#include <numeric>

namespace automot::train {

at::Tensor TokenLoss(const at::Tensor& logits, const at::Tensor& labels) {
  const at::Tensor rows = logits.flatten(0, -2), wanted = labels.flatten();
  const at::Tensor sum =
      at::cross_entropy_loss(rows, wanted, {}, at::Reduction::Sum, kIgnoredLabel);
  return sum / wanted.ne(kIgnoredLabel).sum().clamp_min(1);
}

at::Tensor WaypointLoss(const at::Tensor& offsets, const at::Tensor& waypoints) {
  const at::Tensor start = at::zeros_like(waypoints.narrow(1, 0, 1));
  const at::Tensor target = at::diff(waypoints, 1, 1, start);
  const double sum = std::accumulate(kWaypointWeights.begin(), kWaypointWeights.end(), 0.0);
  const at::Tensor weights = at::tensor(at::ArrayRef<double>(kWaypointWeights), at::kDouble)
                                 .div_(sum)
                                 .to(offsets.options());
  return ((offsets - target).abs().mean(2).mean(0) * weights).sum();
}

at::Tensor RouteLoss(const at::Tensor& route, const at::Tensor& target) {
  return at::l1_loss(route, target);
}

at::Tensor SpeedLoss(const at::Tensor& speeds, const at::Tensor& target) {
  return at::smooth_l1_loss(speeds, target);
}

std::array<double, 3> WaypointErrors(const at::Tensor& waypoints, const at::Tensor& target) {
  const at::Tensor distance = (waypoints.detach() - target).square().sum(-1).sqrt().mean(0).cpu();
  std::array<double, 3> errors{};
  for (int64_t i = 0; i < 3; ++i) {
    errors[static_cast<size_t>(i)] = distance.narrow(0, 0, 2 * (i + 1)).mean().item<double>();
  }
  return errors;
}

}  // namespace automot::train
