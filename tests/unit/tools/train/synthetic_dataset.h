// A small dataset in the format of docs/training-data.md, made from a seed: vehicles that drive
// straight and fast, or stop, as the colour of the picture and the LiDAR say.
#pragma once

#include <cstdint>
#include <string>

namespace automot::train {

struct SyntheticOptions {
  int episodes = 2;
  int64_t frames = 30;
  int width = 128, height = 96;                           // of the pictures
  std::string target_point_rule = "carla_route_planner";  // that of the tiny checkpoint
};

// Writes root/split/<episode>/. Throws std::runtime_error.
void WriteSyntheticSplit(const std::string& root, const std::string& split,
                         const SyntheticOptions& options = {});

// An empty directory of the test that runs.
std::string FreshDirectory(const std::string& name);

}  // namespace automot::train
