#include "tests/benchmark/scheduler/offered_load.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <functional>
#include <memory>
#include <queue>
#include <random>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/time/clock.h"
#include "services/planning/planning_loop.h"
#include "services/planning/session.h"

namespace automot::benchmarks {
namespace {

using planning::PlanningLoop;
using planning::PlanWork;
using planning::Session;

// Takes as long as it is told to without computing, as work does that another device carries out.
class TimerTick final : public planning::PlanTick {
 public:
  TimerTick(absl::Duration service, const Clock* clock) : service_(service), clock_(clock) {}

  Outcome Run(PlanWork& work, bool) override {
    const absl::Duration begin = clock_->Now();
    if (begin > work.deadline) expired_.fetch_add(1, std::memory_order_relaxed);
    std::this_thread::sleep_until(std::chrono::steady_clock::now() +
                                  absl::ToChronoMicroseconds(service_));
    return Outcome::kAnswered;
  }
  uint64_t expired() const { return expired_.load(); }

 private:
  const absl::Duration service_;
  const Clock* const clock_;
  std::atomic<uint64_t> expired_{0};
};

constexpr double kVehicleRateHz = 10.0;
constexpr double kJitter = 0.1;  // of the period, to either side

// Intended arrivals in order.
class ArrivalTimes {
 public:
  struct Arrival {
    absl::Duration at;  // from the beginning
    std::size_t vehicle = 0;
    bool operator>(const Arrival& other) const { return at > other.at; }
  };

  ArrivalTimes(const LoadOptions& options, double rate_per_s)
      : options_(options),
        random_(options.seed),
        vehicles_(std::max<std::size_t>(1, std::lround(rate_per_s / kVehicleRateHz))),
        gap_(rate_per_s),
        period_(absl::Seconds(static_cast<double>(vehicles_) / rate_per_s)) {
    for (std::size_t i = 0; i < vehicles_; ++i) due_.push({period_ * Uniform(), i});
  }

  std::size_t vehicles() const { return vehicles_; }
  Arrival Next() {
    if (options_.arrivals == Arrivals::kPoisson) {
      now_ += absl::Seconds(gap_(random_));
      return {now_, count_++ % vehicles_};
    }
    const Arrival due = due_.top();
    due_.pop();
    due_.push({due.at + period_, due.vehicle});
    // Jitter shifts an arrival, not the vehicle's clock; arrivals stay in order by being late only.
    now_ = std::max(now_, due.at + period_ * (kJitter * Uniform()));
    return {now_, due.vehicle};
  }

 private:
  double Uniform() { return std::uniform_real_distribution<double>(0.0, 1.0)(random_); }

  const LoadOptions options_;
  std::mt19937_64 random_;
  const std::size_t vehicles_;
  std::exponential_distribution<double> gap_;
  const absl::Duration period_;
  std::priority_queue<Arrival, std::vector<Arrival>, std::greater<>> due_;
  absl::Duration now_;
  std::size_t count_ = 0;
};

std::vector<std::shared_ptr<Session>> Vehicles(const LoadOptions& options, std::size_t count) {
  planning::SessionOptions session;
  session.planning_rate_hz = 20.0;
  session.reasoning_rate_hz = 2.0;
  session.time_mode = planning::TimeMode::kStepped;  // a newer plan supersedes none
  std::vector<std::shared_ptr<Session>> vehicles;
  const auto clients = static_cast<std::size_t>(options.clients);
  for (std::size_t i = 0; i < count; ++i) {
    vehicles.push_back(std::make_shared<Session>(
        absl::StrCat("vehicle-", i), "", i + 1, context::SessionHandle{}, session,
        lidar::HistogramBuilder::Create().value(), absl::StrCat("client-", i % clients)));
  }
  return vehicles;
}

double Percentile99(std::vector<double>& values) {
  if (values.empty()) return 0.0;
  const auto at = values.begin() + static_cast<std::ptrdiff_t>(values.size() * 99 / 100);
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

class Run {
 public:
  Run(const LoadOptions& options, double rate_per_s)
      : options_(options),
        arrivals_(options, rate_per_s),
        tick_(options.service, &clock_),
        vehicles_(Vehicles(options, arrivals_.vehicles())),
        loop_({.queue_capacity = 4096, .session_capacity = 64}, &tick_, &clock_) {
    loop_.ExpectCost(1, options.service);
  }

  // Everything waits from the beginning, without a deadline.
  double Capacity(uint64_t plans) {
    const absl::Duration begin = clock_.Now();
    for (uint64_t i = 0; i < plans; ++i) {
      Submit(i, i % vehicles_.size(), begin, absl::InfiniteDuration());
    }
    loop_.Drain();
    loop_.AwaitIdle(absl::Minutes(2));
    return static_cast<double>(plans) / absl::ToDoubleSeconds(clock_.Now() - begin);
  }

  LoadOutcome Offer() {
    const absl::Duration begin = clock_.Now() + absl::Milliseconds(10);
    absl::Duration intended = begin;
    for (uint64_t i = 0; i < options_.requests; ++i) {
      const ArrivalTimes::Arrival arrival = arrivals_.Next();
      intended = begin + arrival.at;
      const absl::Duration ahead = intended - clock_.Now();
      if (ahead > absl::ZeroDuration()) {
        std::this_thread::sleep_for(absl::ToChronoMicroseconds(ahead));
      }
      Submit(i, arrival.vehicle, intended, intended + options_.deadline);
    }
    loop_.Drain();
    loop_.AwaitIdle(absl::Minutes(2));
    const double elapsed_s = absl::ToDoubleSeconds(intended - begin);
    const auto all = static_cast<double>(options_.requests);
    return {.offered_per_s = all / elapsed_s,
            .in_time = static_cast<double>(in_time_) / all,
            .goodput_per_s = static_cast<double>(in_time_) / elapsed_s,
            .refused = static_cast<double>(refusals_ms_.size()) / all,
            .late = static_cast<double>(late_) / all,
            .refusal_p99_ms = Percentile99(refusals_ms_),
            .expired_ran = tick_.expired()};
  }

 private:
  void Submit(uint64_t number, std::size_t vehicle, absl::Duration arrived,
              absl::Duration deadline) {
    auto work = std::make_unique<PlanWork>();
    work->session = vehicles_[vehicle];
    work->sequence = number + 1;
    work->arrived = arrived;
    work->deadline = deadline;
    work->done = [this](PlanWork& done) {
      const bool answered = done.result.failure == planning::PlanFailure::kNone;
      ++(answered && clock_.Now() <= done.deadline ? in_time_ : late_);
    };
    absl::Duration retry_after;
    const absl::Duration called = clock_.Now();
    const absl::Status accepted = loop_.Submit(work, &retry_after);
    if (!accepted.ok()) {
      refusals_ms_.push_back(absl::ToDoubleMilliseconds(clock_.Now() - called));
    }
  }

  const LoadOptions options_;
  ArrivalTimes arrivals_;
  const MonotonicClock clock_;
  TimerTick tick_;
  const std::vector<std::shared_ptr<Session>> vehicles_;
  std::vector<double> refusals_ms_;
  std::atomic<uint64_t> in_time_{0}, late_{0};
  PlanningLoop loop_;  // last: its threads use everything above
};

}  // namespace

double MeasureCapacity(const LoadOptions& options) {
  constexpr double kManyVehicles = 1000.0;
  return Run(options, kManyVehicles).Capacity(400);
}

LoadOutcome OfferLoad(const LoadOptions& options, double rate_per_s) {
  return Run(options, rate_per_s).Offer();
}

}  // namespace automot::benchmarks
