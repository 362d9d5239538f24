#include <filesystem>
#include <fstream>
#include <iomanip>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "tools/loadgen/payload.h"

namespace automot::loadgen {
namespace {

Vec2 PointOf(const nlohmann::json& json) {
  return {json.at(0).get<double>(), json.at(1).get<double>()};
}

// The picture of tick `index`, where there is one.
void AddPictureOf(const std::filesystem::path& folder, std::size_t index, RecordedEpisode* episode,
                  RecordedTick* tick) {
  std::ostringstream name;
  name << std::setw(6) << std::setfill('0') << index << ".jpg";
  std::ifstream file(folder / "frames" / name.str(), std::ios::binary);
  if (!file) return;
  tick->picture = static_cast<int>(episode->pictures.size());
  episode->pictures.emplace_back(std::istreambuf_iterator<char>(file),
                                 std::istreambuf_iterator<char>());
}

}  // namespace

absl::StatusOr<RecordedEpisode> ReadEpisode(const std::string& folder) {
  const std::filesystem::path path = std::filesystem::path(folder) / "observations.jsonl";
  std::ifstream file(path);
  if (!file) return absl::NotFoundError(absl::StrCat("cannot read '", path.string(), "'"));
  RecordedEpisode episode;
  std::string line;
  while (std::getline(file, line)) {
    try {
      const auto json = nlohmann::json::parse(line);
      RecordedTick tick{.speed_mps = json.at("speed_mps").get<double>(),
                        .current_target = PointOf(json.at("target_points").at(0)),
                        .next_target = PointOf(json.at("target_points").at(1))};
      AddPictureOf(folder, episode.ticks.size(), &episode, &tick);
      episode.ticks.push_back(tick);
    } catch (const nlohmann::json::exception& error) {
      return absl::InvalidArgumentError(absl::StrCat("'", path.string(), "', line ",
                                                     episode.ticks.size() + 1, ": ", error.what()));
    }
  }
  if (episode.pictures.empty() || episode.ticks.front().picture < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", folder, "' has no picture of its first observation"));
  }
  return episode;
}

}  // namespace automot::loadgen
