// The published training losses (spec 7). Tensors of one device, float32 but for labels; each
// result is a scalar that keeps gradients.
#pragma once

#include <ATen/ATen.h>

#include <array>

namespace automot::train {

inline constexpr int64_t kIgnoredLabel = -100;
// Of the waypoints' time steps, before they are divided by their sum.
inline constexpr std::array<double, 6> kWaypointWeights = {3, 3, 2, 2, 1, 1};

// Cross entropy, mean over the labelled tokens; 0 where none is labelled.
// logits: `[..., vocab]`; labels: `[...]`, int64, kIgnoredLabel for none.
at::Tensor TokenLoss(const at::Tensor& logits, const at::Tensor& labels);

// L1 of offsets per step, weighted over time, mean over batch and x, y.
// offsets: as predicted; waypoints: `[batch, 6, 2]`, positions, metres.
at::Tensor WaypointLoss(const at::Tensor& offsets, const at::Tensor& waypoints);

// L1, mean over everything. Both `[batch, points, 2]`, metres.
at::Tensor RouteLoss(const at::Tensor& route, const at::Tensor& target);

// Smooth L1 with its knee at 1 m/s, mean over everything. Both `[batch, speeds]`.
at::Tensor SpeedLoss(const at::Tensor& speeds, const at::Tensor& target);

// Mean distance of the first 2, 4 and 6 waypoints, metres: what is logged.
std::array<double, 3> WaypointErrors(const at::Tensor& waypoints, const at::Tensor& target);

}  // namespace automot::train
