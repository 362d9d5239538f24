#include "common/metrics/metrics_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "tests/support/http_get.h"
namespace automot::metrics {
namespace {

using test_support::HttpGet;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr MetricName kEaten{"eaten_total", "Apples eaten."};

absl::Status StartStatus(const MetricsServerOptions& options) {
  const Registry registry;
  return MetricsServer::Start(options, &registry).status();
}

TEST(MetricsServerTest, ServesTheRegistryOnThePortThatItPicked) {
  Registry registry;
  registry.AddCounters(kEaten)->At().Add(7);
  auto server = MetricsServer::Start({.address = "localhost:0"}, &registry);
  ASSERT_TRUE(server.ok()) << server.status();
  EXPECT_THAT((*server)->address(), StartsWith("127.0.0.1:"));
  EXPECT_NE((*server)->address(), "127.0.0.1:0");
  const std::string answer = HttpGet((*server)->address(), "/metrics");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(answer, HasSubstr("\neaten_total 7\n"));
  EXPECT_THAT(HttpGet((*server)->address(), "/etc/passwd"), HasSubstr(" 404 Not Found\r\n"));

  const std::string address = (*server)->address();
  server->reset();
  EXPECT_EQ(HttpGet(address, "/metrics"), "");
}

TEST(MetricsServerTest, ServesNoneWithoutAnAddress) {
  const Registry registry;
  const auto server = MetricsServer::Start({.address = ""}, &registry);
  ASSERT_TRUE(server.ok()) << server.status();
  EXPECT_EQ((*server)->address(), "");
}

TEST(MetricsServerTest, RefusesAddressesBeyondLoopbackUnlessTold) {
  for (const char* address : {"0.0.0.0:0", "10.0.0.1:0", "[::]:0", "128.0.0.1:0"}) {
    const absl::Status status = StartStatus({.address = address});
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << address;
    EXPECT_THAT(std::string(status.message()), HasSubstr("--insecure")) << address;
  }
  EXPECT_TRUE(StartStatus({.address = "0.0.0.0:0", .insecure = true}).ok());
}

TEST(MetricsServerTest, RefusesMalformedAddressesNamingThem) {
  for (const char* address : {"9464", ":9464", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536",
                              "127.0.0.1:-1", "127.0.0.1:1,0.0.0.0:2", "0.0.0.0:2,127.0.0.1:1",
                              "127.evil.example:1", "::1:9464", "unix:/tmp/x", "[127.0.0.1]:1"}) {
    const absl::Status status = StartStatus({.address = address, .insecure = true});
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << address;
    EXPECT_THAT(std::string(status.message()), HasSubstr(absl::StrCat("'", address, "'")));
  }
}

TEST(MetricsServerTest, SaysThatAPortIsTaken) {
  const Registry registry;
  const auto first = MetricsServer::Start({.address = "127.0.0.1:0"}, &registry);
  ASSERT_TRUE(first.ok()) << first.status();
  const auto second = MetricsServer::Start({.address = (*first)->address()}, &registry);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(second.status().message()), HasSubstr((*first)->address()));
}

}  // namespace
}  // namespace automot::metrics
