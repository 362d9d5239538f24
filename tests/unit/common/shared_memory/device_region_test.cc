// Device memory from one process to another, over the lane's own messages. Needs a GPU.
#include "common/shared_memory/device_region.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <optional>
#include <thread>
#include <vector>

#include "common/shared_memory/region_message.h"

namespace automot::shared_memory {
namespace {

constexpr std::size_t kBytes = std::size_t{8} << 20;

std::vector<std::byte> Pattern() {
  std::vector<std::byte> bytes(kBytes);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = std::byte((i * 31 + i / 4096) & 0xFF);
  return bytes;
}

std::optional<ReceivedRegionMessage> Await(int socket) {
  while (true) {
    auto received = Receive(socket);
    if (!received.ok()) return std::nullopt;
    if (*received) return std::move(**received);
    std::this_thread::yield();
  }
}

// In a process of its own: fills a region, passes it, and keeps it until the reader is done.
int Produce(int socket) {
  if (DeviceRegion::Devices() == 0) {
    return Send(socket, {.kind = RegionMessageKind::kRefused}).ok() ? 0 : 1;
  }
  auto region = DeviceRegion::Create(0, kBytes);
  if (!region.ok() || !(*region)->CopyIn(Pattern()).ok()) return 2;
  const auto exported = (*region)->Export();
  if (!exported.ok()) return 3;
  const RegionMessage message = {
      .kind = RegionMessageKind::kRegion, .region = 1, .value = (*region)->bytes()};
  if (!Send(socket, message, exported->get()).ok()) return 4;
  const auto release = Await(socket);
  return release && release->message.kind == RegionMessageKind::kRelease ? 0 : 5;
}

TEST(DeviceRegion, AnotherProcessReadsWhatWasWrittenOnTheDevice) {
  auto [ours, theirs] = LocalPair().value();
  const pid_t producer = fork();  // before this process has touched the driver
  if (producer == 0) {
    ours.Close();
    _exit(Produce(theirs.get()));
  }
  theirs.Close();
  auto received = Await(ours.get());
  const bool device = received && received->message.kind == RegionMessageKind::kRegion;
  if (device) {
    const auto region =
        DeviceRegion::Import(std::move(received->descriptor), 0, received->message.value);
    ASSERT_TRUE(region.ok()) << region.status();
    std::vector<std::byte> read(kBytes);
    ASSERT_TRUE((*region)->CopyOut(read).ok());
    EXPECT_EQ(read, Pattern());
    ASSERT_TRUE(Send(ours.get(), {.kind = RegionMessageKind::kRelease, .region = 1}).ok());
  }
  int status = 0;
  waitpid(producer, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  if (!device) GTEST_SKIP() << "no CUDA device that can export memory";
}

TEST(DeviceRegion, WithoutADriverEveryCallSaysSo) {
  if (DeviceRegion::Devices() > 0) GTEST_SKIP() << "there is one";
  EXPECT_TRUE(absl::IsUnavailable(DeviceRegion::Create(0, kBytes).status()));
  EXPECT_TRUE(
      absl::IsUnavailable(DeviceRegion::Import(context::UniqueDescriptor(), 0, kBytes).status()));
}

}  // namespace
}  // namespace automot::shared_memory
