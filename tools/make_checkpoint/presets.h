// Geometries to generate: named presets and changes to them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/checkpoint/geometry.h"

namespace automot::model {

// "nano": the embedded default, sized for one processor core. "tiny": the sizes of the golden
// checkpoint. "published": the sizes of the published model. The result is complete.
absl::StatusOr<ModelGeometry> PresetGeometry(std::string_view name);

// Sets one size by its dotted name, for example ("text.layers", {8}) or ("bev.widths", {16, 32, 64,
// 96}). INVALID_ARGUMENT for an unknown name, a wrong count or a value that is out of range.
absl::Status SetGeometryField(ModelGeometry& geometry, std::string_view name,
                              const std::vector<int64_t>& values);
// The names that SetGeometryField knows, one line each.
std::string GeometryFieldNames();
// Applies a JSON object of such names, flat ("text.layers": 8) or nested ("text": {"layers": 8}).
absl::Status ApplyGeometryJson(ModelGeometry& geometry, std::string_view json);

// Fills in what follows from other sizes (grids, squeeze widths, shared widths, token ids,
// vocabulary) and validates.
absl::Status CompleteGeometry(ModelGeometry& geometry);

}  // namespace automot::model
