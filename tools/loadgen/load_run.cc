#include "tools/loadgen/load_run.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/status/status_macros.h"
#include "tools/synthetic/plan_proof.h"

namespace automot::loadgen {
namespace {

constexpr absl::Duration kProgressPeriod = absl::Seconds(1);
constexpr absl::Duration kLook = absl::Milliseconds(50);
constexpr absl::Duration kLeadIn = absl::Milliseconds(100);  // between the opening and the start

VehicleOptions OptionsOf(const LoadOptions& options, int index) {
  VehicleOptions vehicle;
  vehicle.name = absl::StrCat(options.name_prefix, "-", index);
  vehicle.index = static_cast<uint64_t>(index);
  vehicle.mode = options.mode;
  vehicle.schedule = {.rate_hz = options.rates_hz[index % options.rates_hz.size()],
                      .jitter = options.jitter,
                      .ramp = options.ramp,
                      .seed = options.seed + static_cast<uint64_t>(index)};
  vehicle.warm_up = options.warm_up;
  vehicle.end = options.warm_up + options.measured;
  vehicle.deadline = options.deadline;
  vehicle.session = options.session;
  vehicle.session.set_planning_rate_hz(vehicle.schedule.rate_hz);
  vehicle.chaos = options.chaos;
  return vehicle;
}

absl::StatusOr<std::unique_ptr<Payload>> PayloadOf(const LoadOptions& options,
                                                   const VehicleOptions& vehicle) {
  PayloadOptions payload = options.payload;
  payload.kind = options.payloads[vehicle.index % options.payloads.size()];
  payload.reasoning_rate_hz = options.session.reasoning_rate_hz();
  payload.seed = synthetic::ChecksumOf(vehicle.name) ^ options.seed;
  return Payload::Create(payload);
}

Tally MergedTally(const std::vector<std::unique_ptr<Vehicle>>& vehicles) {
  Tally all;
  for (const auto& vehicle : vehicles) all.Merge(vehicle->tally());
  return all;
}

void ForEach(const std::vector<std::unique_ptr<Vehicle>>& vehicles,
             const std::function<void(Vehicle&)>& work, const std::function<void()>& meanwhile) {
  std::atomic<std::size_t> left{vehicles.size()};
  std::vector<std::thread> threads;
  threads.reserve(vehicles.size());
  for (const auto& vehicle : vehicles) {
    threads.emplace_back([&, raw = vehicle.get()] {
      work(*raw);
      left.fetch_sub(1, std::memory_order_release);
    });
  }
  while (left.load(std::memory_order_acquire) > 0) {
    meanwhile();
    absl::SleepFor(kLook);
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace

absl::StatusOr<RunResult> RunLoad(const LoadOptions& options, const OnProgress& progress,
                                  const std::atomic<bool>* stop) {
  CancelTimer timer;
  RunShared shared;
  shared.target = &options.target;
  shared.timer = &timer;
  shared.ticks_left =
      options.requests > 0 ? options.requests : std::numeric_limits<int64_t>::max() / 2;
  std::vector<std::unique_ptr<Vehicle>> vehicles;
  for (int i = 0; i < options.vehicles; ++i) {
    const VehicleOptions vehicle = OptionsOf(options, i);
    AUTOMOT_ASSIGN_OR_RETURN(auto payload, PayloadOf(options, vehicle));
    vehicles.push_back(std::make_unique<Vehicle>(vehicle, std::move(payload), &shared));
  }
  ForEach(vehicles, [](Vehicle& vehicle) { vehicle.Prepare(); }, [] {});
  const absl::Time start = absl::Now() + kLeadIn;
  absl::Time next_progress = start + kProgressPeriod;
  ForEach(
      vehicles, [&](Vehicle& vehicle) { vehicle.Run(start); },
      [&] {
        if (stop != nullptr && stop->load()) shared.stop = true;
        if (progress == nullptr || absl::Now() < next_progress) return;
        progress(absl::Now() - start, MergedTally(vehicles));
        next_progress += kProgressPeriod;
      });
  RunResult result;
  result.tally = MergedTally(vehicles);
  result.load = options.ramp.to;
  result.measured =
      std::clamp(absl::Now() - start - options.warm_up, absl::Milliseconds(1), options.measured);
  result.offered_hz =
      static_cast<double>(result.tally.intended()) / absl::ToDoubleSeconds(result.measured);
  return result;
}

}  // namespace automot::loadgen
