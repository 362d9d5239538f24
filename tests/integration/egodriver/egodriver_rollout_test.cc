// Whole rollouts, as alpasim's runtime makes them.
#include <thread>

#include "tests/integration/egodriver/egodriver_fixture.h"

namespace automot::egodriver {
namespace {

constexpr uint64_t kStepUs = 100'000;
constexpr uint64_t kBeginUs = 1'700'000'000'000'000;  // recordings have absolute times

TEST_F(EgodriverServiceTest, FourRolloutsAtOnceEachGetTheirOwnPlans) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([this, i] {
      Simulator simulator = MakeSimulator("rollout-" + std::to_string(i));
      Simulator::ExpectOk(simulator.Start());
      // A context of two seconds first, in one call.
      const uint64_t begin = static_cast<uint64_t>(i) * 37'000'000;
      Simulator::ExpectOk(simulator.Egomotion(begin, begin + 2'000'000));
      wire::DriveResponse response;
      for (int step = 0; step < 25; ++step) {
        const uint64_t now = begin + 2'000'000 + step * kStepUs;
        response.Clear();
        simulator.Step(now, &response);
        ExpectPlan(response, now);
        EXPECT_TRUE(response.debug_info().unstructured_debug_info().empty());
      }
      Simulator::ExpectOk(simulator.Close());
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(engine_->session_count(), 0U);
}

TEST_F(EgodriverServiceTest, ARolloutWhoseDriverIsSkippedAtFirstIsDrivenLater) {
  Simulator simulator = MakeSimulator("skips");
  Simulator::ExpectOk(simulator.Start());
  for (uint64_t now = 0; now < 1'700'000; now += kStepUs) {  // the recording drives
    Simulator::ExpectOk(simulator.Image(now));
    Simulator::ExpectOk(simulator.Egomotion(now, now));
    Simulator::ExpectOk(simulator.Route(now));
  }
  wire::DriveResponse response;
  simulator.Step(1'700'000, &response);
  ExpectPlan(response, 1'700'000);
  EXPECT_GT(control_->prefilled.load(), 0);
}

TEST_F(EgodriverServiceTest, OldShapesDrive) {
  Simulator simulator = MakeSimulator("old");
  Simulator::ExpectOk(simulator.Start());
  Simulator::ExpectOk(simulator.Image(0));
  // Without states: before 2026-03 there was one, under another number.
  Simulator::ExpectOk(simulator.Egomotion(0, 100'000, /*states=*/false));
  wire::DriveResponse response;
  Simulator::ExpectOk(simulator.Drive(100'000, &response));  // and no route at all
  ExpectPlan(response, 100'000);
  const auto& poses = response.trajectory().poses();
  const double moved = std::hypot(poses[10].pose().vec().x() - poses[0].pose().vec().x(),
                                  poses[10].pose().vec().y() - poses[0].pose().vec().y());
  EXPECT_NEAR(moved, 6.0, 0.2) << "the speed comes from the poses";
}

TEST_F(EgodriverServiceTest, AbsoluteTimesOfARecordingAreTaken) {
  Simulator simulator = MakeSimulator("recorded");
  Simulator::ExpectOk(simulator.Start());
  wire::DriveResponse response;
  for (int step = 0; step < 3; ++step) {
    const uint64_t now = kBeginUs + step * kStepUs;
    Simulator::ExpectOk(simulator.Image(now));
    Simulator::ExpectOk(simulator.Egomotion(now, now));
    response.Clear();
    Simulator::ExpectOk(simulator.Drive(now, &response));
    ExpectPlan(response, now);
  }
}

TEST_F(EgodriverServiceTest, ABigPngIsTaken) {
  Simulator simulator = MakeSimulator("png");
  Simulator::ExpectOk(simulator.Start());
  // JPEG has no noise that big; a PNG's bytes may follow its end, which readers ignore.
  std::string frame = Jpeg(1916, 1080);
  frame.resize(std::size_t{6} << 20, '\0');
  Simulator::ExpectOk(simulator.Image(0, frame));
}

TEST_F(EgodriverServiceTest, AStartIsHeldUntilThereIsRoom) {
  EgodriverFlags flags;
  flags.engine.rollout_limit = 1;
  Serve(flags);
  Simulator first = MakeSimulator("first"), second = MakeSimulator("second");
  Simulator::ExpectOk(first.Start());
  std::thread waiting([&] { Simulator::ExpectOk(second.Start()); });
  wire::DriveResponse response;
  first.Step(0, &response);
  Simulator::ExpectOk(first.Close());
  waiting.join();
  second.Step(0, &response);
  ExpectPlan(response, 0);
}

}  // namespace
}  // namespace automot::egodriver
