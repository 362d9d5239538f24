#include "common/shared_memory/local_socket.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <string>
#include <vector>

#include "common/shared_memory/region_message.h"
#include "tests/unit/common/shared_memory/socket_folder.h"

namespace automot::shared_memory {
namespace {

TEST(LocalSocket, ReplacesASocketThatNobodyListensAtAndNothingElse) {
  const SocketFolder folder;
  const std::string path = folder.Path();
  {
    const auto first = ListenLocal(path, 0600);
    ASSERT_TRUE(first.ok()) << first.status();
    EXPECT_TRUE(absl::IsAlreadyExists(ListenLocal(path, 0600).status())) << "it is in use";
  }
  EXPECT_TRUE(ListenLocal(path, 0600).ok()) << "its listener is gone";
  unlink(path.c_str());
  ASSERT_GE(UniqueDescriptor(open(path.c_str(), O_CREAT | O_WRONLY, 0600)).get(), 0);
  EXPECT_TRUE(absl::IsAlreadyExists(ListenLocal(path, 0600).status())) << "a plain file";
  EXPECT_TRUE(absl::IsInvalidArgument(ListenLocal(std::string(200, 'x'), 0600).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(ListenLocal("", 0600).status()));
}

TEST(LocalSocket, FileHasTheWantedModeOnly) {
  const SocketFolder folder;
  const auto listener = ListenLocal(folder.Path(), 0600);
  ASSERT_TRUE(listener.ok());
  struct stat file = {};
  ASSERT_EQ(stat(folder.Path().c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 0777U, 0600U);
}

TEST(LocalSocket, TheKernelSaysWhoConnected) {
  const SocketFolder folder;
  const auto listener = ListenLocal(folder.Path(), 0600);
  const auto caller = ConnectLocal(folder.Path());
  ASSERT_TRUE(listener.ok() && caller.ok());
  auto accepted = AcceptLocal(listener->get());
  ASSERT_TRUE(accepted.ok() && *accepted);
  const auto peer = CredentialsOf((*accepted)->get());
  ASSERT_TRUE(peer.ok());
  EXPECT_EQ(peer->user, geteuid());
  EXPECT_EQ(peer->process, getpid());
  EXPECT_FALSE(*AcceptLocal(listener->get())) << "nobody else waits";
}

TEST(LocalSocket, DescriptorsArriveAndNothingBlocks) {
  auto [left, right] = LocalPair().value();
  EXPECT_FALSE(*Receive(right.get())) << "no message yet";
  auto region = context::MemoryRegion::Create(4096, true).value();
  region->bytes()[1] = std::byte{3};
  ASSERT_TRUE(Send(left.get(), {.kind = RegionMessageKind::kRegion, .region = 5, .value = 4096},
                   region->descriptor())
                  .ok());
  auto received = Receive(right.get());
  ASSERT_TRUE(received.ok() && *received);
  EXPECT_EQ((*received)->message.region, 5U);
  const auto mapped = context::MappedRegion::Map(std::move((*received)->descriptor), 4096);
  ASSERT_TRUE(mapped.ok()) << mapped.status();
  EXPECT_EQ((*mapped)->bytes()[1], std::byte{3});
  absl::Status sent;
  for (int i = 0; i < 100'000 && sent.ok(); ++i) {
    sent = Send(left.get(), {.kind = RegionMessageKind::kRelease});
  }
  EXPECT_TRUE(absl::IsResourceExhausted(sent)) << "a peer that does not read blocks nobody";
  right.Close();
  EXPECT_TRUE(absl::IsUnavailable(Send(left.get(), {.kind = RegionMessageKind::kRelease})));
}

TEST(LocalSocket, TheEndIsToldApartFromSilence) {
  auto [left, right] = LocalPair().value();
  left.Close();
  EXPECT_TRUE(absl::IsUnavailable(Receive(right.get()).status()));
}

class MalformedMessageTest : public ::testing::Test {
 protected:
  // What the reader makes of these bytes, sent with `descriptors` copies of one.
  absl::Status Read(std::span<const std::byte> bytes, int descriptors) {
    iovec piece = {const_cast<std::byte*>(bytes.data()), bytes.size()};
    std::vector<int> passed(static_cast<std::size_t>(descriptors), STDIN_FILENO);
    std::array<char, 256> control = {};
    msghdr header = {};
    header.msg_iov = &piece;
    header.msg_iovlen = 1;
    if (!passed.empty()) {
      header.msg_control = control.data();
      header.msg_controllen = CMSG_SPACE(passed.size() * sizeof(int));
      cmsghdr* const part = CMSG_FIRSTHDR(&header);
      part->cmsg_level = SOL_SOCKET;
      part->cmsg_type = SCM_RIGHTS;
      part->cmsg_len = CMSG_LEN(passed.size() * sizeof(int));
      std::memcpy(CMSG_DATA(part), passed.data(), passed.size() * sizeof(int));
    }
    EXPECT_EQ(sendmsg(ends_.first.get(), &header, 0), static_cast<ssize_t>(bytes.size()));
    return Receive(ends_.second.get()).status();
  }
  absl::Status Read(const RegionMessage& message, int descriptors) {
    return Read(std::as_bytes(std::span(&message, 1)), descriptors);
  }
  static int OpenDescriptors() {
    int open = 0;
    for (int i = 0; i < 256; ++i) open += fcntl(i, F_GETFD) >= 0 ? 1 : 0;
    return open;
  }

  std::pair<UniqueDescriptor, UniqueDescriptor> ends_ = LocalPair().value();
};

TEST_F(MalformedMessageTest, IsRefusedAndLeaksNoDescriptor) {
  const int before = OpenDescriptors();
  const RegionMessage release = {.kind = RegionMessageKind::kRelease};
  const auto bytes = std::as_bytes(std::span(&release, 1));
  EXPECT_TRUE(Read(release, 0).ok());
  EXPECT_TRUE(absl::IsDataLoss(Read(bytes.first(10), 0))) << "too short";
  std::vector<std::byte> longer(sizeof(RegionMessage) + 1);
  std::memcpy(longer.data(), &release, sizeof(release));
  EXPECT_TRUE(absl::IsDataLoss(Read(longer, 0))) << "too long";
  EXPECT_TRUE(absl::IsDataLoss(Read(release, 1))) << "a descriptor that does not belong";
  EXPECT_TRUE(absl::IsDataLoss(Read({.kind = RegionMessageKind::kRegion}, 0))) << "none, wanted";
  EXPECT_TRUE(absl::IsDataLoss(Read({.kind = RegionMessageKind::kRegion}, 2))) << "two";
  EXPECT_TRUE(absl::IsDataLoss(Read({.kind = RegionMessageKind::kRegion}, 12))) << "many";
  EXPECT_TRUE(absl::IsDataLoss(Read({.version = 1, .kind = RegionMessageKind::kRelease}, 0)));
  for (const uint32_t kind : {0U, 9U, ~0U}) {
    EXPECT_TRUE(absl::IsDataLoss(Read({.kind = static_cast<RegionMessageKind>(kind)}, 0)));
  }
  EXPECT_EQ(OpenDescriptors(), before);
}

}  // namespace
}  // namespace automot::shared_memory
