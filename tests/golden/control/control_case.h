// One golden case of control without LibTorch (tests/golden/data/README.md). Only tensors of role
// "input" may be fed; the rest is compared with.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/checkpoint/safetensors.h"
#include "common/types/trajectory.h"

namespace automot::control {

class ControlCase {
 public:
  explicit ControlCase(const std::string& name) {
    const std::string base = AUTOMOT_SOURCE_DIR "/tests/golden/data/cases/" + name;
    auto file = model::SafetensorsFile::Open(base + ".safetensors");
    if (!file.ok()) throw std::runtime_error(std::string(file.status().message()));
    file_ = *std::move(file);
    std::ifstream in(base + ".json");
    roles_ = nlohmann::json::parse(in)["tensors"];
  }

  template <typename T>
  std::vector<T> Input(const std::string& name) const {
    EXPECT_EQ(roles_.at(name)["role"], "input") << name;
    return Load<T>(name);
  }
  template <typename T>
  std::vector<T> Expected(const std::string& name) const {
    EXPECT_NE(roles_.at(name)["role"], "input") << name;
    return Load<T>(name);
  }

  // Trajectories from the inputs "route" and "waypoints".
  std::vector<Trajectory> Trajectories() const {
    const std::vector<float> route = Input<float>("route"), waypoints = Input<float>("waypoints");
    std::vector<Trajectory> trajectories(route.size() / (2 * kRoutePoints));
    for (std::size_t t = 0; t < trajectories.size(); ++t) {
      Read(route, t, &trajectories[t].route);
      Read(waypoints, t, &trajectories[t].waypoints);
    }
    return trajectories;
  }

 private:
  template <typename T>
  std::vector<T> Load(const std::string& name) const {
    const model::TensorView* view = file_->Find(name);
    if (view == nullptr) throw std::runtime_error(name + " is not in the golden case");
    EXPECT_EQ(roles_.at(name)["dtype"], DTypeName<T>()) << name;
    std::vector<T> values(view->bytes.size() / sizeof(T));
    std::memcpy(values.data(), view->bytes.data(), view->bytes.size());
    return values;
  }
  template <typename T>
  static std::string DTypeName() {
    if constexpr (std::is_same_v<T, float>) return "float32";
    if constexpr (std::is_same_v<T, double>) return "float64";
    return "int64";
  }
  template <std::size_t kPoints>
  static void Read(const std::vector<float>& values, std::size_t item,
                   std::array<Vec2, kPoints>* points) {
    for (std::size_t i = 0; i < kPoints; ++i) {
      (*points)[i] = {values[2 * (item * kPoints + i)], values[2 * (item * kPoints + i) + 1]};
    }
  }

  std::unique_ptr<model::SafetensorsFile> file_;
  nlohmann::json roles_;
};

// README.md, column "use"; one rounding step of 1e-3 is allowed at a tie.
inline constexpr double kSteerTolerance = 1e-9;
inline constexpr double kThrottleTolerance = 1e-6;
inline constexpr double kPointTolerance = 1e-9;

}  // namespace automot::control
