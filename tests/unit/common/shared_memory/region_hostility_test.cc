// Consumers and producers that do not keep to the rules, and users that are not allowed.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <optional>

#include "tests/unit/common/shared_memory/lending_fixture.h"

namespace automot::shared_memory {
namespace {

using context::KvBuffer;

class HostilityTest : public LendingTest {
 protected:
  void Lend(uint8_t value) {
    snapshot_ = Snapshot(value);
    ASSERT_EQ(loans_->Lend(snapshot_), LendOutcome::kLent);
    use_ = UseOf(*snapshot_);
  }
  void ConnectAll() {
    StartServer();
    client_ = Connect();
    loans_ = Open(*client_);
  }
  PlaceRefusal RefusalOf(const RegionUse& use) {
    PlaceRefusal refusal{};
    const auto borrowed = client_->Borrow(loans_->number(), use, kLayout, &refusal);
    EXPECT_EQ(borrowed.ok(), refusal == PlaceRefusal::kNone) << borrowed.status();
    return refusal;
  }

  std::unique_ptr<RegionClient> client_;
  std::shared_ptr<RegionLoans> loans_;
  context::SnapshotPtr snapshot_;
  RegionUse use_;
};

TEST_F(HostilityTest, PlacesOutsideTheRegionAreRefused) {
  ConnectAll();
  const std::size_t region = context::KvBufferPool::SizeClass(kLayout.total_bytes());
  const auto wrong = [&](uint64_t offset, uint64_t length) {
    Lend(1);
    RegionUse use = use_;
    use.offset_bytes = offset;
    use.length_bytes = length;
    return RefusalOf(use);
  };
  const uint64_t length = kLayout.total_bytes();
  EXPECT_EQ(wrong(0, length), PlaceRefusal::kNone);
  EXPECT_EQ(wrong(region, length), PlaceRefusal::kOutOfBounds);
  EXPECT_EQ(wrong(region - length + 64, length), PlaceRefusal::kOutOfBounds);
  EXPECT_EQ(wrong(~0ULL - 63, length), PlaceRefusal::kOutOfBounds);
  EXPECT_EQ(wrong(~0ULL - length + 1, length), PlaceRefusal::kOutOfBounds) << "wraps to zero";
  EXPECT_EQ(wrong(4, length), PlaceRefusal::kOutOfBounds);
  EXPECT_EQ(wrong(0, length - 64), PlaceRefusal::kOutOfBounds) << "not the layout's length";
  EXPECT_EQ(wrong(0, length + 64), PlaceRefusal::kOutOfBounds);
  EXPECT_EQ(wrong(0, 0), PlaceRefusal::kOutOfBounds);
}

TEST_F(HostilityTest, RefusedPlacesAreGivenBack) {
  ConnectAll();
  Lend(1);
  RegionUse use = use_;
  use.offset_bytes = 1;
  EXPECT_EQ(RefusalOf(use), PlaceRefusal::kOutOfBounds);
  Until([&] { return loans_->held() == 0; });
}

TEST_F(HostilityTest, AUseIsTakenOnceAndNeverAgain) {
  ConnectAll();
  Lend(1);
  EXPECT_EQ(RefusalOf(use_), PlaceRefusal::kNone);
  EXPECT_EQ(RefusalOf(use_), PlaceRefusal::kStaleGeneration) << "a duplicate";
  RegionUse older = use_;
  older.generation = 0;
  EXPECT_EQ(RefusalOf(older), PlaceRefusal::kStaleGeneration);
  RegionUse unknown = use_;
  unknown.region += 1000;
  EXPECT_EQ(RefusalOf(unknown), PlaceRefusal::kUnknownRegion);
}

TEST_F(HostilityTest, ReleasesOfWhatIsNotHeldChangeNothing) {
  ConnectAll();
  Lend(1);
  const RegionUse stale = {.region = use_.region, .generation = use_.generation - 1};
  // The client under test speaks honestly; a stale and a foreign release come from beside it.
  client_->EndSubscription(loans_->number() + 5, 0);
  PlaceRefusal refusal{};
  EXPECT_FALSE(client_->Borrow(loans_->number() + 5, stale, kLayout, &refusal).ok());
  const auto other = Connect();
  EXPECT_FALSE(other->Borrow(loans_->number(), use_, kLayout, &refusal).ok())
      << "lent to another connection";
  EXPECT_EQ(refusal, PlaceRefusal::kUnknownRegion);
  const auto beside = Open(*other);
  const auto marker = Snapshot(3);
  ASSERT_EQ(beside->Lend(marker), LendOutcome::kLent);
  other->Borrow(beside->number(), UseOf(*marker), kLayout, &refusal).value();
  Until([&] { return beside->held() == 0; });  // so the messages before it have been read
  EXPECT_EQ(loans_->held(), 1U);
}

TEST_F(HostilityTest, ACallerThatDoesNotProveItselfGetsNoToken) {
  StartServer();
  auto socket = ConnectLocal(folder_.Path()).value();
  ReceivedRegionMessage welcome;
  Until([&] {
    auto received = Receive(socket.get());
    if (!received.ok() || !*received) return false;
    welcome = std::move(**received);
    return true;
  });
  EXPECT_EQ(welcome.message.kind, RegionMessageKind::kWelcome);
  EXPECT_TRUE(absl::IsFailedPrecondition(server_->Open(welcome.message.token_view(), 1).status()));
  ASSERT_TRUE(Send(socket.get(), {.kind = RegionMessageKind::kProbe, .value = 1}).ok());
  Until([&] { return !Receive(socket.get()).ok(); });
  EXPECT_TRUE(absl::IsFailedPrecondition(server_->Open(welcome.message.token_view(), 1).status()));
  EXPECT_EQ(server_->stats().refused, 1U);
  EXPECT_TRUE(absl::IsFailedPrecondition(server_->Open("", 1).status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(server_->Open(std::string(16, '\0'), 1).status()));
}

TEST_F(HostilityTest, AConsumerThatSpeaksOutOfTurnIsDropped) {
  ConnectAll();
  for (const auto kind : {RegionMessageKind::kProbe, RegionMessageKind::kReady}) {
    auto socket = ConnectLocal(folder_.Path()).value();
    std::vector<std::byte> garbage(3);
    ASSERT_TRUE(SendMessage(socket.get(), garbage).ok() || true);
    Send(socket.get(), {.kind = kind}).IgnoreError();
    Until([&] {
      const auto received = Receive(socket.get());
      return absl::IsUnavailable(received.status());
    });
  }
  Lend(1);
  EXPECT_EQ(RefusalOf(use_), PlaceRefusal::kNone) << "the honest one goes on";
}

TEST_F(HostilityTest, ASubscriptionNumberServesOnceAtATime) {
  ConnectAll();
  const auto open = [&](uint64_t number) {
    return server_->Open(client_->token(), number).status();
  };
  EXPECT_TRUE(absl::IsInvalidArgument(open(loans_->number())));
  EXPECT_TRUE(absl::IsInvalidArgument(open(0)));
  client_->EndSubscription(77, 0);  // overtakes the call that it belongs to
  Lend(1);
  EXPECT_EQ(RefusalOf(use_), PlaceRefusal::kNone);
  Until([&] { return loans_->held() == 0; });  // so what was said before has been read
  EXPECT_TRUE(absl::IsCancelled(open(77)));
}

TEST_F(HostilityTest, ConnectionsAreLimited) {
  RegionServerOptions options;
  options.path = folder_.Path();
  options.consumers = 2;
  server_ = RegionServer::Start(options).value();
  const auto one = Connect(), two = Connect();
  EXPECT_TRUE(absl::IsPermissionDenied(RegionClient::Connect({.path = folder_.Path()}).status()));
}

TEST_F(HostilityTest, ASilentProducerIsGivenUpOn) {
  const auto listener = ListenLocal(folder_.Path(), 0600).value();
  EXPECT_TRUE(absl::IsDeadlineExceeded(
      RegionClient::Connect({.path = folder_.Path(), .timeout = absl::Milliseconds(50)}).status()));
}

TEST_F(HostilityTest, TheSocketOfAnotherProducerIsNotTaken) {
  StartServer();
  EXPECT_TRUE(absl::IsFailedPrecondition(
      RegionClient::Connect({.path = folder_.Path(), .producer = server_->producer() + 2})
          .status()));
  EXPECT_TRUE(
      RegionClient::Connect({.path = folder_.Path(), .producer = server_->producer()}).ok());
}

// A producer under the test's control: welcomes, then says what it is told to.
class RogueProducer {
 public:
  explicit RogueProducer(const std::string& path) : listener_(ListenLocal(path, 0600).value()) {
    thread_ = std::thread([this] {
      Until([&] {
        auto caller = AcceptLocal(listener_.get());
        if (!caller.ok() || !*caller) return false;
        socket_ = std::move(**caller);
        return true;
      });
      Send(socket_.get(), {.kind = RegionMessageKind::kWelcome, .value = 4096, .consumer_bytes = 1},
           probe_->descriptor())
          .IgnoreError();
      Until([&] {
        const auto received = Receive(socket_.get());
        return !received.ok() || *received;
      });
      Send(socket_.get(), {.kind = RegionMessageKind::kReady}).IgnoreError();
    });
  }
  ~RogueProducer() { Join(); }
  void Join() {
    if (thread_.joinable()) thread_.join();
  }
  int socket() const { return socket_.get(); }

 private:
  const UniqueDescriptor listener_;
  const std::shared_ptr<context::MemoryRegion> probe_ =
      context::MemoryRegion::Create(4096, true).value();
  UniqueDescriptor socket_;
  std::thread thread_;
};

TEST_F(HostilityTest, RegionsThatCannotBeTrustedAreNotMapped) {
  RogueProducer producer(folder_.Path());
  const auto client = Connect();
  producer.Join();
  const auto honest = context::MemoryRegion::Create(1 << 16, false).value();
  const auto introduce = [&](uint64_t number, uint64_t bytes, int descriptor) {
    ASSERT_TRUE(Send(producer.socket(),
                     {.kind = RegionMessageKind::kRegion, .region = number, .value = bytes},
                     descriptor)
                    .ok());
  };
  introduce(1, 1 << 16, honest->descriptor());
  introduce(2, 1 << 17, honest->descriptor());  // larger than it is
  introduce(3, 4096, honest->descriptor());     // smaller
  introduce(4, 1 << 16, STDIN_FILENO);          // no memory file
  introduce(5, 1 << 16, honest->descriptor());
  introduce(5, 1 << 16, honest->descriptor());  // the number is in use
  const uint64_t length = kLayout.total_bytes();
  for (uint64_t number = 1; number <= 5; ++number) {
    PlaceRefusal refusal{};
    const auto borrowed = client->Borrow(
        1, {.region = number, .generation = 1, .length_bytes = length}, kLayout, &refusal);
    EXPECT_EQ(refusal, number == 1 ? PlaceRefusal::kNone : PlaceRefusal::kBadRegion) << number;
  }
  ASSERT_TRUE(Send(producer.socket(), {.kind = RegionMessageKind::kRelease}).ok());
  PlaceRefusal refusal{};
  EXPECT_TRUE(absl::IsDataLoss(
      client->Borrow(1, {.region = 1, .generation = 2, .length_bytes = length}, kLayout, &refusal)
          .status()))
      << "speaks out of turn";
}

// In a child process that has become another user: what Connect says, as an exit status.
int ConnectAs(uid_t user, const std::string& path) {
  const pid_t child = fork();
  if (child == 0) {
    if (setuid(user) != 0) _exit(100);
    _exit(static_cast<int>(RegionClient::Connect({.path = path}).status().code()));
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST_F(HostilityTest, OtherUsersAreRefusedUnlessAllowed) {
  constexpr uid_t kStranger = 65534, kGuest = 65533;
  if (geteuid() != 0) GTEST_SKIP() << "only root can become another user";
  ASSERT_EQ(chmod(folder_.folder().c_str(), 0755), 0);
  StartServer();
  EXPECT_EQ(ConnectAs(kStranger, folder_.Path()), static_cast<int>(absl::StatusCode::kUnavailable))
      << "the file itself lets nobody else in";
  ASSERT_EQ(chmod(folder_.Path().c_str(), 0666), 0);
  EXPECT_EQ(ConnectAs(kStranger, folder_.Path()),
            static_cast<int>(absl::StatusCode::kPermissionDenied));
  server_.reset();
  RegionServerOptions options;
  options.path = folder_.Path();
  options.allowed_users = {kGuest};
  server_ = RegionServer::Start(options).value();
  EXPECT_EQ(ConnectAs(kStranger, folder_.Path()),
            static_cast<int>(absl::StatusCode::kPermissionDenied));
  EXPECT_EQ(ConnectAs(kGuest, folder_.Path()), 0);
  EXPECT_EQ(ConnectAs(0, folder_.Path()), 0);
}

}  // namespace
}  // namespace automot::shared_memory
