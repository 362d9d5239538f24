// An action expert without a model: its answer proves its inputs (plan_proof.h), and takes as long
// as it is told. For load and protocol tests, never for driving.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>

#include "absl/time/time.h"
#include "services/planning/action_expert.h"

namespace automot::synthetic {

struct SyntheticExpertOptions {
  absl::Duration duration;  // of a tick; zero: a null model
  // What each further vehicle of a batch adds; absent: as long as a tick, so that batches save
  // nothing.
  std::optional<absl::Duration> further;
  bool spin = false;  // true: burns the processor meanwhile; false: waits on a timer
  // Raw pictures get JPEG's artefacts before the expert sees them, as a trained one wants.
  bool jpeg_artefacts = true;
  int bev_channels = 756;  // 189 KiB of float32
  int camera_width = 1024;
  int camera_height = 512;
  std::size_t context_bytes = 0;  // of a usual context
};

std::unique_ptr<planning::ActionExpert> MakeSyntheticExpert(const SyntheticExpertOptions& options);

}  // namespace automot::synthetic
