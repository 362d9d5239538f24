// The options that decide what a run computes, as text: kept with its state, compared when it is
// resumed.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "tools/train/trainer.h"

namespace automot::train {

// INVALID_ARGUMENT naming the option, its value and its limits.
absl::Status ValidateSettings(const TrainOptions& options);

// One JSON object. Without what may change between the parts of a run: places, threads, how often
// something is logged or saved.
std::string SettingsText(const TrainOptions& options);

// INVALID_ARGUMENT naming the first setting that differs.
absl::Status CompareSettings(const std::string& stored, const std::string& now);

}  // namespace automot::train
