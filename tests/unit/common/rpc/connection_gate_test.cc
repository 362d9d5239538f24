// Connections over TCP as servers get them: through the gate, from sockets of the test's own.
#include "common/rpc/connection_gate.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/security/credentials.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <future>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/rpc/client_identity.h"
#include "common/rpc/credentials.h"
#include "common/rpc/listen.h"
#include "tests/support/certificates.h"

namespace automot::rpc {
namespace {

constexpr int kPatienceMs = 20'000;

// Answers every call with who makes it, as the message of its status.
class IdentityService final : public grpc::CallbackGenericService {
  class Answer final : public grpc::ServerGenericBidiReactor {
   public:
    explicit Answer(const std::string& identity) {
      Finish(grpc::Status(grpc::StatusCode::OUT_OF_RANGE, identity));
    }
    void OnDone() override { delete this; }
  };
  grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext* call) override {
    return new Answer(ClientIdentityOf(*call));
  }
};

std::string IdentityOver(const std::shared_ptr<grpc::Channel>& channel) {
  grpc::GenericStub stub(channel);
  grpc::ClientContext call;
  call.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(kPatienceMs));
  const grpc::Slice nothing("");
  const grpc::ByteBuffer request(&nothing, 1);
  grpc::ByteBuffer response;
  std::promise<grpc::Status> ended;
  stub.UnaryCall(&call, "/any/Call", {}, &request, &response,
                 [&](const grpc::Status& status) { ended.set_value(status); });
  return ended.get_future().get().error_message();
}

// A client's end, without a library.
class RawConnection {
 public:
  RawConnection() : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {}
  RawConnection(const RawConnection&) = delete;
  ~RawConnection() { close(fd_); }

  bool Connect(int port) const {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<uint16_t>(port));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof(to)) == 0;
  }
  // The server speaks first where it has taken the connection.
  bool Served() const {
    pollfd waiting = {.fd = fd_, .events = POLLIN, .revents = 0};
    char byte = 0;
    return poll(&waiting, 1, kPatienceMs) == 1 && recv(fd_, &byte, 1, 0) == 1;
  }

 private:
  const int fd_;
};

// The number that the next descriptor gets: one that stays open raises it sooner or later.
int LowestFree() {
  const int fd = dup(0);
  close(fd);
  return fd;
}

class ConnectionGateTest : public ::testing::Test {
 protected:
  ~ConnectionGateTest() override {
    if (listening_.gate != nullptr) listening_.gate->Stop();
    if (listening_.server != nullptr) listening_.server->Shutdown();
  }
  void Start(
      const std::string& address, const ServerLimits& limits = {},
      std::shared_ptr<grpc::ServerCredentials> credentials = grpc::InsecureServerCredentials()) {
    listening_ = Open(address, &service_, limits, std::move(credentials));
  }
  Listening Open(const std::string& address, IdentityService* service,
                 const ServerLimits& limits = {},
                 const std::shared_ptr<grpc::ServerCredentials>& credentials =
                     grpc::InsecureServerCredentials()) {
    grpc::ServerBuilder builder;
    builder.RegisterCallbackGenericService(service);
    auto listening = Listen(address, credentials, &builder, limits, [this] { ++refused_; });
    EXPECT_TRUE(listening.ok()) << listening.status();
    const std::string& open = listening->address;
    EXPECT_TRUE(absl::SimpleAtoi(open.substr(open.rfind(':') + 1), &port_)) << open;
    EXPECT_GT(port_, 0);
    return *std::move(listening);
  }
  std::string At(const std::string& host) const { return absl::StrCat(host, ":", port_); }

  IdentityService service_;
  Listening listening_;
  int port_ = 0;
  std::atomic<int> refused_{0};
};

TEST_F(ConnectionGateTest, HandlersSeeWhereAConnectionComesFrom) {
  Start("[::]:0");
  const auto plain = grpc::InsecureChannelCredentials();
  EXPECT_EQ(IdentityOver(grpc::CreateChannel(At("ipv4:127.0.0.1"), plain)), "host:127.0.0.1");
  const std::string over_ipv6 = IdentityOver(grpc::CreateChannel(At("ipv6:[::1]"), plain));
  if (over_ipv6.find("host:") != 0) GTEST_SKIP() << "no IPv6 here: " << over_ipv6;
  EXPECT_EQ(over_ipv6, ClientIdentityOfPeer("ipv6:[::1]:1"));
}

TEST_F(ConnectionGateTest, CertificatesAreSeenThroughIt) {
  const auto certificates = TestCertificates::Create();
  if (absl::IsUnavailable(certificates.status())) GTEST_SKIP() << certificates.status();
  ASSERT_TRUE(certificates->Make("server", "IP:127.0.0.1").ok());
  ASSERT_TRUE(certificates->Make("car").ok());
  const TlsOptions tls{.certificate_file = certificates->certificate("server"),
                       .key_file = certificates->key("server"),
                       .client_ca_file = certificates->ca()};
  Start("127.0.0.1:0", {}, *ServerCredentialsFor("127.0.0.1:0", tls));
  const auto as_car = ChannelCredentialsFor({.ca_file = certificates->ca(),
                                             .certificate_file = certificates->certificate("car"),
                                             .key_file = certificates->key("car")});
  ASSERT_TRUE(as_car.ok()) << as_car.status();
  EXPECT_EQ(IdentityOver(grpc::CreateChannel(At("127.0.0.1"), *as_car)), "name:car");
}

TEST_F(ConnectionGateTest, OneTooManyOfAHostIsClosedAndCounted) {
  Start("127.0.0.1:0", {.connections = {.all = 4, .host = 2}});
  RawConnection first, second, third;
  ASSERT_TRUE(first.Connect(port_) && first.Served());
  ASSERT_TRUE(second.Connect(port_) && second.Served());
  EXPECT_FALSE(third.Connect(port_) && third.Served());
  EXPECT_EQ(refused_, 1);
}

TEST_F(ConnectionGateTest, StoppingEndsListeningAndNothingElse) {
  Start("127.0.0.1:0");
  const auto channel = grpc::CreateChannel(At("127.0.0.1"), grpc::InsecureChannelCredentials());
  EXPECT_EQ(IdentityOver(channel), "host:127.0.0.1");
  listening_.gate->Stop();
  listening_.gate->Stop();
  RawConnection late;
  EXPECT_FALSE(late.Connect(port_));
  EXPECT_EQ(IdentityOver(channel), "host:127.0.0.1") << "over the connection that there is";
}

TEST_F(ConnectionGateTest, AGateThatIsDroppedWithItsServerLeavesNothingBehind) {
  const int before = LowestFree();
  for (int i = 0; i < 20; ++i) {
    RawConnection connection;
    IdentityService service;
    // A server that ends without a deadline waits so long for a client that says nothing.
    const Listening dropped =
        Open("127.0.0.1:0", &service, {.handshake_limit = absl::Milliseconds(50)});
    ASSERT_TRUE(connection.Connect(port_));  // taken, or not yet
  }
  EXPECT_LE(LowestFree(), before + 8) << "gRPC keeps some of its own";
}

// Of the connections of this process that lead from `port`: their TCP_USER_TIMEOUT.
std::vector<unsigned> UserTimeouts(int port) {
  std::vector<unsigned> found;
  for (int fd = 0; fd < 1024; ++fd) {
    sockaddr_in own{}, peer{};
    socklen_t own_size = sizeof(own), peer_size = sizeof(peer);
    unsigned value = 0;
    socklen_t size = sizeof(value);
    if (getsockname(fd, reinterpret_cast<sockaddr*>(&own), &own_size) != 0 ||
        own.sin_family != AF_INET || ntohs(own.sin_port) != port ||
        getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &peer_size) != 0 ||
        getsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &value, &size) != 0) {
      continue;
    }
    found.push_back(value);
  }
  return found;
}

TEST_F(ConnectionGateTest, APeerThatTakesNothingIsGivenUpLikeOneThatDoesNotAnswer) {
  Start("127.0.0.1:0", {.ping_timeout = absl::Seconds(7)});
  RawConnection connection;
  ASSERT_TRUE(connection.Connect(port_) && connection.Served());
  EXPECT_THAT(UserTimeouts(port_), ::testing::ElementsAre(7'000U));
}

TEST_F(ConnectionGateTest, GoesOnAcceptingOnceThereAreDescriptorsAgain) {
  Start("127.0.0.1:0");
  RawConnection before, waiting, after;  // their descriptors are there already
  ASSERT_TRUE(before.Connect(port_) && before.Served());
  rlimit files{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &files), 0);
  const rlimit few = {.rlim_cur = 256, .rlim_max = files.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  std::vector<int> taken;
  for (int fd = open("/dev/null", O_RDONLY | O_CLOEXEC); fd >= 0;
       fd = open("/dev/null", O_RDONLY | O_CLOEXEC)) {
    taken.push_back(fd);
  }
  EXPECT_EQ(errno, EMFILE);
  EXPECT_TRUE(waiting.Connect(port_)) << "the system takes it";
  for (const int fd : taken) close(fd);
  EXPECT_TRUE(waiting.Served());
  EXPECT_TRUE(after.Connect(port_) && after.Served());
  EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &files), 0);
}

}  // namespace
}  // namespace automot::rpc
