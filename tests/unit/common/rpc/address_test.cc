#include "common/rpc/address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"

namespace automot::rpc {
namespace {

using ::testing::HasSubstr;

TEST(AddressTest, LoopbackIsWhatNobodyElseReaches) {
  for (const char* address :
       {"127.0.0.1:50051", "127.1.2.3:0", "localhost:1", "[::1]:50051", "unix:/tmp/socket",
        "unix:relative", "dns:///localhost:1", "dns:///127.0.0.1:1"}) {
    EXPECT_TRUE(IsLoopback(address)) << address;
  }
  for (const char* address :
       {"0.0.0.0:50051", "[::]:50051", "10.0.0.1:1", "example.com:1", "dns:///example.com:1",
        "127.evil.example:1", "127.0.0.1.example:1", "127.0.0:1", "128.0.0.1:1", "127.0.0.256:1",
        "localhost.example:1", "*:1"}) {
    EXPECT_FALSE(IsLoopback(address)) << address;
  }
}

TEST(AddressTest, ThreeFormsAreTaken) {
  for (const char* address : {"127.0.0.1:0", "localhost:65535", "[::1]:1", "unix:/run/a.sock",
                              "dns:///planning.svc:50051"}) {
    EXPECT_TRUE(ValidateAddress("--address", address).ok()) << address;
  }
}

TEST(AddressTest, OthersAreRefusedByFlagAndValue) {
  for (const char* address :
       {"", "localhost", ":1", "localhost:", "localhost:65536", "localhost:-1", "localhost:port",
        "unix:", "dns:///", "dns:///name", "localhost:1x", "::1:50051"}) {
    const absl::Status status = ValidateAddress("--address", address);
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << address;
    EXPECT_THAT(std::string(status.message()),
                HasSubstr(absl::StrCat("--address is '", address, "'")));
  }
}

TEST(AddressTest, PickedPortTakesThePlaceOfZero) {
  EXPECT_EQ(WithPort("127.0.0.1:0", 1234), "127.0.0.1:1234");
  EXPECT_EQ(WithPort("[::1]:0", 1234), "[::1]:1234");
  EXPECT_EQ(WithPort("dns:///localhost:0", 1234), "dns:///localhost:1234");
  EXPECT_EQ(WithPort("unix:/run/a.sock", 1234), "unix:/run/a.sock");
}

TEST(AddressTest, SocketsHaveAPathThatTheKernelTakes) {
  EXPECT_EQ(SocketPath("unix:/run/a.sock"), "/run/a.sock");
  EXPECT_EQ(SocketPath("unix:///run/a.sock"), "/run/a.sock");
  EXPECT_EQ(SocketPath("unix:a.sock"), "a.sock");
  EXPECT_EQ(SocketPath("127.0.0.1:0"), "");
  EXPECT_TRUE(ValidateAddress("--address", absl::StrCat("unix:", std::string(107, 'a'))).ok());
  const absl::Status status =
      ValidateAddress("--address", absl::StrCat("unix:", std::string(108, 'a')));
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("at most 107 bytes"));
}

}  // namespace
}  // namespace automot::rpc
