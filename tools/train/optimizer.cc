#include "tools/train/optimizer.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"

namespace automot::train {

double LearningRate(const OptimizerOptions& options, int64_t step) {
  if (step < options.warm_up_steps) {
    return options.peak_rate * static_cast<double>(step + 1) /
           static_cast<double>(options.warm_up_steps);
  }
  const double span =
      static_cast<double>(std::max<int64_t>(1, options.steps - options.warm_up_steps));
  const double at = std::min(1.0, static_cast<double>(step - options.warm_up_steps) / span);
  return options.final_rate +
         (options.peak_rate - options.final_rate) * (1 + std::cos(std::numbers::pi * at)) / 2;
}

Optimizer::Optimizer(Parameters& parameters, const OptimizerOptions& options)
    : parameters_(parameters), options_(options), names_(parameters.trained()) {
  const at::NoGradGuard no_grad;
  for (const std::string& name : names_) {
    const at::Tensor& value = parameters_.tensors().at(name);
    values_.push_back(value);
    first_.push_back(at::zeros_like(value));
    second_.push_back(at::zeros_like(value));
    taken_.push_back(at::zeros({}, value.options().requires_grad(false)));
    average_[name] = value.detach().clone();
  }
  for (const auto& [name, value] : parameters_.tensors()) {
    if (IsStatistic(name)) average_[name] = value.clone();
  }
}

double Optimizer::Clip(std::vector<at::Tensor>& gradients) const {
  std::vector<at::Tensor> norms;
  for (const at::Tensor& gradient : gradients) norms.push_back(gradient.norm());
  const double norm = at::stack(norms).norm().item<double>();
  if (norm > options_.clip_norm) {
    const double factor = options_.clip_norm / norm;
    for (at::Tensor& gradient : gradients) gradient.mul_(factor);
  }
  return norm;
}

double Optimizer::Step(int64_t step) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> gradients;
  for (at::Tensor& value : values_) {
    gradients.push_back(value.grad().defined() ? value.grad() : at::zeros_like(value));
    value.mutable_grad() = at::Tensor();
  }
  const double norm = Clip(gradients);
  for (at::Tensor& taken : taken_) taken.add_(1);  // the kernel reads it as the step's number
  at::_fused_adamw_(values_, gradients, first_, second_, {}, taken_, LearningRate(options_, step),
                    options_.beta1, options_.beta2, options_.weight_decay, options_.epsilon,
                    /*amsgrad=*/false, /*maximize=*/false);
  Average(step);
  return norm;
}

void Optimizer::Average(int64_t step) {
  const double at = static_cast<double>(step);
  const double old = std::min(options_.ema, (1.0 + at) / (10.0 + at));
  for (auto& [name, average] : average_) average.lerp_(parameters_.tensors().at(name), 1.0 - old);
}

TensorMap Optimizer::State() const {
  TensorMap state;
  for (size_t i = 0; i < names_.size(); ++i) {
    state["first." + names_[i]] = first_[i];
    state["second." + names_[i]] = second_[i];
    state["taken." + names_[i]] = taken_[i];
  }
  for (const auto& [name, average] : average_) {
    state["average." + name] = average;
    state["param." + name] = parameters_.tensors().at(name);
  }
  return state;
}

absl::Status Optimizer::Restore(const TensorMap& state) {
  const at::NoGradGuard no_grad;
  for (auto& [name, target] : State()) {
    const auto stored = state.find(name);
    if (stored == state.end() || stored->second.sizes() != target.sizes()) {
      return absl::InvalidArgumentError(
          absl::StrCat("the training state has no tensor \"", name, "\" of this shape"));
    }
    target.copy_(stored->second);
  }
  return absl::OkStatus();
}

}  // namespace automot::train
