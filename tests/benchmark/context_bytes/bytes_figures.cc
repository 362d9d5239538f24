#include "tests/benchmark/context_bytes/bytes_figures.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "common/context/chunk_reuse.h"
#include "common/context/quantisation.h"
#include "common/status/status_macros.h"

namespace automot {
namespace {

using context::ContextLayout;
using context::TensorKind;

constexpr ContextLayout::ElementType kTypes[] = {ContextLayout::ElementType::kFloat8E4M3,
                                                 ContextLayout::ElementType::kInt8};

struct Distances {
  double most = 0.0, sum = 0.0;
  std::size_t count = 0;
  void Add(const Vec2& a, const Vec2& b) {
    const double distance = std::hypot(a.x - b.x, a.y - b.y);
    most = std::max(most, distance);
    sum += distance;
    ++count;
  }
  nlohmann::json Json() const { return {{"max_m", most}, {"mean_m", sum / count}}; }
};

struct Agreement {
  int same = 0, total = 0;
};

float At(std::span<const std::byte> bytes, std::size_t index, std::size_t element) {
  if (element == 4) {
    float value = 0;
    std::memcpy(&value, bytes.data() + 4 * index, 4);
    return value;
  }
  uint16_t bits = 0;
  std::memcpy(&bits, bytes.data() + 2 * index, 2);
  return std::bit_cast<float>(uint32_t{bits} << 16U);
}

// |a - b| / |a| over one kind of tensor: all layers together, and the worst layer.
nlohmann::json RelativeError(const context::KvBuffer& a, const context::KvBuffer& b,
                             TensorKind tensor) {
  double worst = 0.0, errors = 0.0, norms = 0.0;
  const std::size_t element = a.layout().element_bytes();
  for (int layer = 0; layer < a.layout().layers; ++layer) {
    double error = 0.0, norm = 0.0;
    const auto from = a.Tensor(layer, tensor), to = b.Tensor(layer, tensor);
    for (std::size_t i = 0; i < from.size() / element; ++i) {
      const double value = At(from, i, element), difference = value - At(to, i, element);
      error += difference * difference;
      norm += value * value;
    }
    worst = std::max(worst, std::sqrt(error / norm));
    errors += error;
    norms += norm;
  }
  return {{"all", std::sqrt(errors / norms)}, {"worst_layer", worst}};
}

void CompareDecisions(const Decision& a, const Decision& b, Agreement* agreement) {
  for (std::size_t i = 0; i < std::min<std::size_t>(a.slot_count, b.slot_count); ++i) {
    const bool same = a.slots.at(i).longitudinal == b.slots.at(i).longitudinal &&
                      a.slots.at(i).lateral == b.slots.at(i).lateral &&
                      a.slots.at(i).text.view() == b.slots.at(i).text.view();
    agreement->same += same ? 1 : 0;
    ++agreement->total;
  }
}

std::size_t Reusable(const context::KvBuffer& base, const context::KvBuffer& next) {
  std::size_t bytes = 0;
  for (int layer = 0; layer < next.layout().layers; ++layer) {
    for (const TensorKind tensor : {TensorKind::kKey, TensorKind::kValue}) {
      bytes += context::ReusableBytes(base, next, layer, tensor);
    }
  }
  return bytes;
}

nlohmann::json ReuseJson(const context::KvBuffer& base, const context::KvBuffer& next) {
  const std::size_t reused = Reusable(base, next), all = next.layout().payload_bytes();
  return {{"reused_bytes", reused},
          {"payload_bytes", all},
          {"share", static_cast<double>(reused) / static_cast<double>(all)}};
}

absl::StatusOr<nlohmann::json> MeasureType(ExpertPair& experts, const std::vector<Scene>& scenes,
                                           ContextLayout::ElementType type) {
  Distances waypoints, route;
  Agreement agreement;
  nlohmann::json json;
  for (const Scene& scene : scenes) {
    AUTOMOT_ASSIGN_OR_RETURN(const auto native, experts.Context(scene));
    AUTOMOT_ASSIGN_OR_RETURN(const auto back, ExpertPair::ThroughType(*native, type));
    AUTOMOT_ASSIGN_OR_RETURN(const auto expected, experts.Plan(scene, native));
    AUTOMOT_ASSIGN_OR_RETURN(const auto got, experts.Plan(scene, back));
    for (int i = 0; i < kWaypoints; ++i) {
      waypoints.Add(expected.trajectory.waypoints[i], got.trajectory.waypoints[i]);
    }
    for (int i = 0; i < kRoutePoints; ++i) {
      route.Add(expected.trajectory.route[i], got.trajectory.route[i]);
    }
    CompareDecisions(expected.decision, got.decision, &agreement);
    json["native_bytes"] = native->kv.layout().payload_bytes();
    json["bytes"] = context::WithElementType(native->kv.layout(), type).payload_bytes();
    json["keys_relative_error"] = RelativeError(native->kv, back->kv, TensorKind::kKey);
    json["values_relative_error"] = RelativeError(native->kv, back->kv, TensorKind::kValue);
  }
  json["waypoints"] = waypoints.Json();
  json["route"] = route.Json();
  json["decision_slots_equal"] = agreement.same;
  json["decision_slots"] = agreement.total;
  return json;
}

}  // namespace

absl::StatusOr<nlohmann::json> MeasureQuantisation(ExpertPair& experts,
                                                   const std::vector<Scene>& scenes) {
  nlohmann::json json;
  for (const auto type : kTypes) {
    AUTOMOT_ASSIGN_OR_RETURN(json[context::ToString(type)], MeasureType(experts, scenes, type));
  }
  return json;
}

absl::StatusOr<nlohmann::json> MeasureReuse(ExpertPair& experts, const Scene& first,
                                            const Scene& second) {
  AUTOMOT_ASSIGN_OR_RETURN(const auto base, experts.Context(first));
  AUTOMOT_ASSIGN_OR_RETURN(const auto next, experts.Context(second));
  nlohmann::json json;
  json["native"] = ReuseJson(base->kv, next->kv);
  for (const auto type : kTypes) {
    AUTOMOT_ASSIGN_OR_RETURN(const auto base_codes, ExpertPair::Codes(*base, type));
    AUTOMOT_ASSIGN_OR_RETURN(const auto next_codes, ExpertPair::Codes(*next, type));
    json[context::ToString(type)] = ReuseJson(base_codes, next_codes);
  }
  return json;
}

}  // namespace automot
