#include "services/egodriver/geometry/egomotion_log.h"

#include <algorithm>
#include <cmath>
#include <iterator>

namespace automot::egodriver {
namespace {

constexpr double kLongestCarryS = 1.0;
constexpr double kShortestStepS = 1e-3;

double SecondsBetween(SessionTimeUs from, SessionTimeUs to) {
  return static_cast<double>(to - from) * 1e-6;
}

bool Earlier(const TimedPose& a, const TimedPose& b) { return a.time_us < b.time_us; }

RigPose Carry(const RigPose& pose, const Motion& motion, double seconds) {
  const double turn = motion.yaw_rate_radps * seconds;
  const double yaw = YawOf(pose.rotation) + turn / 2;
  const double distance = motion.speed_mps * seconds;
  return {{pose.position.x + distance * std::cos(yaw), pose.position.y + distance * std::sin(yaw),
           pose.position.z},
          Multiply(AboutZ(turn), pose.rotation)};
}

}  // namespace

void EgomotionLog::Add(std::vector<TimedPose> poses) {
  std::stable_sort(poses.begin(), poses.end(), Earlier);
  std::vector<TimedPose> merged;
  merged.reserve(poses_.size() + poses.size());
  // Equal times: those of the first range come first, and stay.
  std::merge(poses_.begin(), poses_.end(), poses.begin(), poses.end(), std::back_inserter(merged),
             Earlier);
  const auto end =
      std::unique(merged.begin(), merged.end(),
                  [](const TimedPose& a, const TimedPose& b) { return a.time_us == b.time_us; });
  const auto kept = std::min<std::ptrdiff_t>(end - merged.begin(), kMaxPoses);
  poses_.assign(end - kept, end);
}

Motion EgomotionLog::MotionAt(std::size_t index) const {
  const TimedPose& here = poses_[index];
  if (here.motion) return *here.motion;
  for (std::size_t i = index; i-- > 0;) {
    const TimedPose& before = poses_[i];
    const double seconds = SecondsBetween(before.time_us, here.time_us);
    if (seconds < kShortestStepS) continue;
    const double from = YawOf(before.pose.rotation), to = YawOf(here.pose.rotation);
    const double dx = here.pose.position.x - before.pose.position.x;
    const double dy = here.pose.position.y - before.pose.position.y;
    return {(dx * std::cos(to) + dy * std::sin(to)) / seconds, WrapAngle(to - from) / seconds};
  }
  return {};
}

std::optional<TimedPose> EgomotionLog::At(SessionTimeUs time_us) const {
  if (poses_.empty()) return std::nullopt;
  const auto after = std::upper_bound(
      poses_.begin(), poses_.end(), time_us,
      [](SessionTimeUs time, const TimedPose& pose) { return time < pose.time_us; });
  if (after == poses_.begin()) return TimedPose{time_us, after->pose, MotionAt(0)};
  const auto index = static_cast<std::size_t>(after - poses_.begin()) - 1;
  const TimedPose& here = poses_[index];
  const Motion motion = MotionAt(index);
  if (here.time_us == time_us) return TimedPose{time_us, here.pose, motion};
  const double since = SecondsBetween(here.time_us, time_us);
  if (after == poses_.end()) {
    return TimedPose{time_us, Carry(here.pose, motion, std::min(since, kLongestCarryS)), motion};
  }
  const double step = SecondsBetween(here.time_us, after->time_us);
  return TimedPose{time_us, Interpolate(here.pose, after->pose, since / step), motion};
}

}  // namespace automot::egodriver
