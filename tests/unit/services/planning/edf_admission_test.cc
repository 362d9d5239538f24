// The admission test and the order of deadlines together, in simulated time, against the best that
// anyone who knew the future could do.
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <random>
#include <set>
#include <vector>

#include "services/planning/scheduling/deadline_demand.h"

namespace automot::planning {
namespace {

constexpr double kCostMs = 5.0;

struct Job {
  double release_ms, deadline_ms;
};

// Most jobs that end by their deadlines, one at a time and none interrupted: for each subset the
// earliest end, over what ran last (Lawler and Moore's recursion with release times). Exact, and
// independent of what it judges.
int OfflineOptimum(const std::vector<Job>& jobs) {
  constexpr double kNever = 1e18;
  const std::size_t count = jobs.size();
  std::vector<double> end(std::size_t{1} << count, kNever);
  end[0] = 0.0;
  int best = 0;
  for (std::size_t mask = 0; mask < end.size(); ++mask) {
    if (end[mask] == kNever) continue;
    best = std::max(best, __builtin_popcountll(mask));
    for (std::size_t j = 0; j < count; ++j) {
      if ((mask >> j & 1U) != 0) continue;
      const double ends = std::max(end[mask], jobs[j].release_ms) + kCostMs;
      double& with = end[mask | std::size_t{1} << j];
      if (ends <= jobs[j].deadline_ms) with = std::min(with, ends);
    }
  }
  return best;
}

// The planning loop's decisions without its threads.
class Simulation {
 public:
  Simulation() : costs_(1), demand_({}) { costs_.Observe(1, absl::Milliseconds(kCostMs)); }

  // Jobs by release. Counts what ended in time, and what was accepted and did not.
  int Run(const std::vector<Job>& jobs, int* broken) {
    int in_time = 0;
    *broken = 0;
    for (std::size_t next = 0; next < jobs.size() || !waiting_.empty();) {
      const bool runs = !waiting_.empty();
      const double start_ms = runs ? std::max(free_ms_, waiting_since_ms_) : 0.0;
      if (next < jobs.size() && (!runs || jobs[next].release_ms <= start_ms)) {
        Arrive(jobs[next++]);
        continue;
      }
      const Waiting first = *waiting_.begin();
      waiting_.erase(waiting_.begin());
      demand_.Remove(first.place);
      free_ms_ = start_ms + kCostMs;
      ++(free_ms_ <= first.deadline_ms + 1e-9 ? in_time : *broken);
    }
    return in_time;
  }

 private:
  struct Waiting {
    double deadline_ms;
    std::size_t number;
    DeadlineDemand::Place place;
    bool operator<(const Waiting& other) const {
      return std::pair(deadline_ms, number) < std::pair(other.deadline_ms, other.number);
    }
  };

  void Arrive(const Job& job) {
    const auto time = [](double ms) { return absl::Microseconds(1000.0 * ms); };
    const absl::Duration now = time(job.release_ms), deadline = time(job.deadline_ms);
    const auto place = demand_.PlaceOf(now, deadline, true);
    if (!demand_.Test(now, time(free_ms_), place, deadline, costs_).fits) return;
    demand_.Add(place);
    if (waiting_.empty()) waiting_since_ms_ = job.release_ms;
    waiting_.insert({job.deadline_ms, arrived_++, place});
  }

  BatchCosts costs_;
  DeadlineDemand demand_;
  std::set<Waiting> waiting_;
  std::size_t arrived_ = 0;
  double free_ms_ = 0.0, waiting_since_ms_ = 0.0;
};

std::vector<Job> RandomTrace(std::mt19937_64& random) {
  std::uniform_real_distribution<double> load(0.5, 4.0), laxity(10.0, 50.0);
  std::exponential_distribution<double> gap(load(random) / kCostMs);
  std::vector<Job> jobs;
  double now = 0.0;
  for (int i = 0; i < 14; ++i) {
    now += gap(random);
    jobs.push_back({now, now + laxity(random)});
  }
  return jobs;
}

TEST(EdfAdmission, IsWithinTwoPercentOfTheOfflineOptimumOnAThousandTraces) {
  std::mt19937_64 random(5);
  int in_time = 0, optimum = 0, broken = 0;
  for (int trace = 0; trace < 1000; ++trace) {
    const std::vector<Job> jobs = RandomTrace(random);
    int broken_here = 0;
    const int here = Simulation().Run(jobs, &broken_here);
    const int best = OfflineOptimum(jobs);
    ASSERT_LE(here, best) << "trace " << trace;
    in_time += here;
    optimum += best;
    broken += broken_here;
  }
  EXPECT_EQ(broken, 0) << "what was accepted ends in time";
  EXPECT_GE(in_time, 0.98 * optimum) << in_time << " of " << optimum;
  std::cout << in_time << " in time; the optimum is " << optimum << "\n";
}

// Ten times what can be done, deadlines of ten runs: the worker is never idle and never late.
TEST(EdfAdmission, OverloadCostsNoneOfTheAcceptedAndWastesNothing) {
  std::mt19937_64 random(6);
  std::exponential_distribution<double> gap(10.0 / kCostMs);
  std::vector<Job> jobs;
  double now = 0.0;
  for (int i = 0; i < 20'000; ++i) {
    now += gap(random);
    jobs.push_back({now, now + 50.0});
  }
  int broken = 0;
  const int in_time = Simulation().Run(jobs, &broken);
  EXPECT_EQ(broken, 0);
  EXPECT_GE(in_time, 0.95 * now / kCostMs);
}

TEST(DeadlineDemand, CountsOnlyWhatIsDueNoLater) {
  DeadlineDemand demand({});
  BatchCosts costs(1);
  costs.Observe(1, absl::Milliseconds(10));
  const absl::Duration now = absl::Seconds(100);
  const auto at = [&](int ms) { return now + absl::Milliseconds(ms); };
  for (int i = 0; i < 5; ++i) demand.Add(demand.PlaceOf(now, at(500), false));
  const auto place = demand.PlaceOf(now, at(20), true);
  const auto verdict = demand.Test(now, now, place, at(20), costs);
  EXPECT_TRUE(verdict.fits) << "the others are due later, and have no deadline to keep";
  EXPECT_EQ(verdict.ahead, 0);
  EXPECT_EQ(verdict.needed, absl::Milliseconds(10));
  EXPECT_FALSE(demand.Test(now, at(11), place, at(20), costs).fits) << "the thread is busy";
}

TEST(DeadlineDemand, WhatIsTakenBackCountsNoMore) {
  DeadlineDemand demand({});
  BatchCosts costs(1);
  costs.Observe(1, absl::Milliseconds(10));
  const auto place = demand.PlaceOf(absl::ZeroDuration(), absl::Milliseconds(15), true);
  demand.Add(place);
  const auto test = [&] {
    return demand.Test(absl::ZeroDuration(), absl::ZeroDuration(), place, absl::Milliseconds(15),
                       costs);
  };
  EXPECT_FALSE(test().fits);
  EXPECT_EQ(test().missing, absl::Milliseconds(5));
  demand.Remove(place);
  EXPECT_TRUE(test().fits);
}

TEST(DeadlineDemand, DeadlinesBeyondTheLastSlotAndNoneAtAllAreTaken) {
  DeadlineDemand demand({.resolution = absl::Milliseconds(1), .slots = 16});
  const auto far = demand.PlaceOf(absl::Seconds(1), absl::Seconds(3600), true);
  EXPECT_EQ(far.slot, 1015);
  EXPECT_EQ(demand.PlaceOf(absl::Seconds(1), absl::InfiniteDuration(), false).slot, -1);
  EXPECT_EQ(demand.PlaceOf(absl::Seconds(1), absl::ZeroDuration(), false).slot, 1000)
      << "late already";
}

}  // namespace
}  // namespace automot::planning
