// Many vehicles at once: no answer is another's, whatever else happens meanwhile.
#include <random>

#include "tests/unit/services/planning/engine_fixture.h"

namespace automot::planning {
namespace {

constexpr int kCars = 12;
constexpr int kTicks = 60;

// Of one car: its snapshots' decisions carry its number and the capture time, its speed is its own.
std::string NameOf(int car) { return absl::StrCat("car", car); }
double SpeedOf(int car) { return 1.0 + car; }

class PlanningIsolationTest : public EngineTest {
 protected:
  void SetUp() override {
    PlanningEngineOptions options;
    options.park_limit = absl::InfiniteDuration();
    Start(options);
  }

  // Publishes what session `car` asked for last, as a producer with a mind of its own.
  void PublishFor(int car, SessionTimeUs capture_us) {
    channel_.Publish(
        capture_us,
        [&](context::ContextSnapshot& snapshot) {
          snapshot.decision.emplace();
          snapshot.decision->slot_count = 1;
          snapshot.decision->slots[0].time_us = capture_us;
          snapshot.decision->slots[0].probability = static_cast<float>(car);
        },
        NameOf(car));
  }

  PlanCall CallOf(int car, int tick) {
    PlanCall call;
    call.session = NameOf(car);
    call.lease = 1;
    call.sequence = static_cast<uint64_t>(tick) + 1;
    call.observation = SeenAt(SessionTimeUs{50'000} * tick + car);
    call.observation.ego.speed_mps = SpeedOf(car);
    return call;
  }

  static void ExpectOwn(const Answer& answer, int car, int tick) {
    EXPECT_EQ(answer.session, NameOf(car));
    EXPECT_EQ(answer.sequence, static_cast<uint64_t>(tick) + 1);
    EXPECT_EQ(answer.capture_time_us, SessionTimeUs{50'000} * tick + car);
    if (answer.IsFallback()) return;
    EXPECT_NEAR(answer.result.trajectory.waypoints[0].x, SpeedOf(car) * 0.5, 1e-9);
    EXPECT_EQ(answer.result.trajectory.route[0].y,
              static_cast<double>(answer.result.snapshot.version));
    ASSERT_TRUE(answer.result.context_decision);
    EXPECT_EQ(answer.result.context_decision->slots[0].probability, static_cast<float>(car));
    EXPECT_EQ(answer.result.context_decision->slots[0].time_us, answer.result.snapshot_capture_us);
  }

  // One car driven by a client that waits for each answer.
  void Drive(int car, std::atomic<int>* answered) {
    for (int tick = 0; tick < kTicks; ++tick) {
      const Answer answer = Plan(CallOf(car, tick));
      EXPECT_TRUE(answer.status.ok()) << answer.status;
      ExpectOwn(answer, car, tick);
      answered->fetch_add(1);
    }
  }
};

TEST_F(PlanningIsolationTest, EachAnswerIsItsOwnUnderLoadFromAllSides) {
  for (int car = 0; car < kCars; ++car) {
    Open(NameOf(car), OptionsOf(car % 3 == 0 ? TimeMode::kStepped : TimeMode::kRealtime));
  }
  std::atomic<int> answered{0};
  std::atomic<bool> done{false};
  std::thread publisher([&] {  // answers every refresh that is asked for, in another order
    std::minstd_rand random(1);
    std::vector<SessionTimeUs> newest(kCars, -1);
    while (!done) {
      const int car = static_cast<int>(random() % kCars);
      const auto status = engine_->GetSessionStatus(NameOf(car));
      const SessionTimeUs seen = status.ok() ? status->observation_us.value_or(-1) : -1;
      if (seen <= newest[car]) continue;
      newest[car] = seen;
      PublishFor(car, seen);
    }
  });
  std::thread nuisance([&] {  // sessions that come and go, resets, bad input, pins
    for (int i = 0; !done; ++i) {
      const std::string name = absl::StrCat("visitor", i % 3);
      const auto opened = engine_->OpenSession(name, "", OptionsOf(TimeMode::kStepped));
      if (!opened.ok()) continue;
      const uint64_t lease = opened->lease;  // never one that an earlier visitor had
      PlanCall call = CallOf(0, i % 7);
      call.session = name;
      call.lease = lease;
      if (i % 2 == 0) call.observation.camera_frames.clear();
      PendingAnswer pending = Send(std::move(call));
      if (i % 5 == 0) channel_.Publish(0, nullptr, name);
      engine_->PinContext(name, lease, std::nullopt, 1'000).status().IgnoreError();
      if (i % 3 == 0) engine_->ResetSession(name, lease).status().IgnoreError();
      EXPECT_TRUE(engine_->CloseSession(name, lease).ok());
      Await(std::move(pending));
    }
  });
  std::vector<std::thread> cars;
  for (int car = 0; car < kCars; ++car) cars.emplace_back([&, car] { Drive(car, &answered); });
  for (std::thread& car : cars) car.join();
  done = true;
  publisher.join();
  nuisance.join();
  EXPECT_EQ(answered, kCars * kTicks);
  EXPECT_EQ(engine_->load().parked, 0U);
}

TEST_F(PlanningIsolationTest, ResetsAndPlansOfOneSessionFromManyThreadsKeepEpisodesApart) {
  Open("car0", OptionsOf(TimeMode::kRealtime));
  std::atomic<bool> done{false};
  std::atomic<uint64_t> sequence{0};
  std::thread publisher([&] {
    for (SessionTimeUs t = 0; !done; ++t) PublishFor(0, t);
  });
  std::vector<std::thread> writers;
  for (int writer = 0; writer < 3; ++writer) {
    writers.emplace_back([&] {
      for (int i = 0; i < 200; ++i) {
        PlanCall call = CallOf(0, 0);
        call.observation = SeenAt(SessionTimeUs{1} << 40);
        call.sequence = sequence.fetch_add(1) + 1;
        const Answer answer = Plan(std::move(call));
        if (!answer.status.ok()) continue;  // superseded, an older sequence, or of an ended episode
        if (answer.result.snapshot.version != 0) {
          EXPECT_EQ(answer.result.snapshot.episode, answer.episode);
        }
      }
    });
  }
  uint32_t episode = 1;
  for (int i = 0; i < 100; ++i) {
    const auto reset = engine_->ResetSession("car0", 1);
    ASSERT_TRUE(reset.ok()) << reset.status();
    EXPECT_EQ(reset->episode, ++episode);
  }
  for (std::thread& writer : writers) writer.join();
  done = true;
  publisher.join();
}

}  // namespace
}  // namespace automot::planning
