#include "common/rpc/listening_sockets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "absl/strings/str_cat.h"

namespace automot::rpc {
namespace {

using ::testing::HasSubstr;

TEST(ListeningSocketsTest, PicksAPortAndRefusesOneThatIsTakenByName) {
  const auto first = ListeningSockets::Open("127.0.0.1:0");
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_GT(first->port(), 0);
  const std::string address = absl::StrCat("127.0.0.1:", first->port());
  const auto second = ListeningSockets::Open(address);
  EXPECT_TRUE(absl::IsUnavailable(second.status()));
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("cannot listen on " + address));
}

TEST(ListeningSocketsTest, EveryFamilyOfANameAndAnyAddressShareOnePort) {
  for (const char* address : {"localhost:0", "dns:///localhost:0", "0.0.0.0:0", "[::]:0"}) {
    const auto sockets = ListeningSockets::Open(address);
    ASSERT_TRUE(sockets.ok()) << sockets.status();
    EXPECT_FALSE(sockets->descriptors().empty()) << address;
    EXPECT_GT(sockets->port(), 0) << address;
  }
}

// Clients of the taken family would reach whoever has it.
TEST(ListeningSocketsTest, APortTakenInOneFamilyOfANameIsTaken) {
  const auto both = ListeningSockets::Open("localhost:0");
  ASSERT_TRUE(both.ok()) << both.status();
  if (both->descriptors().size() < 2) GTEST_SKIP() << "localhost has one family here";
  std::optional<ListeningSockets> ipv4;
  int port = 0;
  {
    auto opened = ListeningSockets::Open("127.0.0.1:0");
    ASSERT_TRUE(opened.ok()) << opened.status();
    port = opened->port();
    ipv4.emplace(*std::move(opened));
  }
  const auto refused = ListeningSockets::Open(absl::StrCat("localhost:", port));
  EXPECT_TRUE(absl::IsUnavailable(refused.status())) << refused.status();
  ipv4.reset();
  EXPECT_TRUE(ListeningSockets::Open(absl::StrCat("localhost:", port)).ok());
}

TEST(ListeningSocketsTest, APortThatDoesNotExistIsRefused) {
  for (const char* address : {"127.0.0.1:70000", "127.0.0.1:-1", "127.0.0.1", "127.0.0.1:http"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ListeningSockets::Open(address).status())) << address;
  }
}

TEST(ListeningSocketsTest, AHostThatIsNotOursIsRefused) {
  EXPECT_TRUE(absl::IsUnavailable(ListeningSockets::Open("192.0.2.1:0").status()));
}

}  // namespace
}  // namespace automot::rpc
