#include "common/rpc/credentials.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "tests/support/certificates.h"

namespace automot::rpc {
namespace {

using ::testing::HasSubstr;

// The message of the refusal.
std::string Refusal(const std::string& address, const TlsOptions& options) {
  const absl::Status status = ServerCredentialsFor(address, options).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  return std::string(status.message());
}

TEST(CredentialsTest, PlainTextStaysOnLoopback) {
  EXPECT_TRUE(ServerCredentialsFor("127.0.0.1:0", {}).ok());
  EXPECT_TRUE(ServerCredentialsFor("unix:/tmp/socket", {}).ok());
  for (const char* address : {"0.0.0.0:50051", "[::]:50051", "10.1.2.3:1", "127.evil.example:1"}) {
    EXPECT_THAT(
        Refusal(address, {}),
        HasSubstr(absl::StrCat("'", address,
                               "' is reachable beyond loopback: give --tls-cert and --tls-key, or "
                               "--insecure")));
    EXPECT_TRUE(ServerCredentialsFor(address, {.insecure = true}).ok());
  }
}

TEST(CredentialsTest, HalfOfWhatTlsNeedsIsRefusedByFlag) {
  EXPECT_THAT(Refusal("127.0.0.1:0", {.key_file = "/k.pem"}), HasSubstr("--tls-key needs"));
  EXPECT_THAT(Refusal("127.0.0.1:0", {.client_ca_file = "/ca.pem"}),
              HasSubstr("--tls-client-ca needs --tls-cert and --tls-key"));
  EXPECT_THAT(Refusal("127.0.0.1:0", {.certificate_file = "/c.pem"}),
              HasSubstr("--tls-cert: cannot read '/c.pem'"));
  EXPECT_THAT(Refusal("127.0.0.1:0", {.allowed_clients = {"car"}}),
              HasSubstr("--tls-allowed-client needs --tls-client-ca"));
}

TEST(CredentialsTest, FilesAreReadAtOnce) {
  const auto certificates = TestCertificates::Create();
  if (absl::IsUnavailable(certificates.status())) GTEST_SKIP() << certificates.status();
  ASSERT_TRUE(certificates.ok()) << certificates.status();
  ASSERT_TRUE(certificates->Make("server", "IP:127.0.0.1").ok());
  TlsOptions options{.certificate_file = certificates->certificate("server"),
                     .key_file = certificates->key("server"),
                     .client_ca_file = certificates->ca()};
  EXPECT_TRUE(ServerCredentialsFor("0.0.0.0:0", options).ok());
  options.key_file = certificates->Path("missing");
  EXPECT_THAT(Refusal("0.0.0.0:0", options), HasSubstr("--tls-key: cannot read"));
  options.key_file = certificates->key("server");
  options.client_ca_file = certificates->Path("");  // a folder
  EXPECT_THAT(Refusal("0.0.0.0:0", options), HasSubstr("--tls-client-ca: cannot read"));
}

TEST(CredentialsTest, ChannelFilesAreReadAtOnce) {
  EXPECT_TRUE(ChannelCredentialsFor({}).ok());
  for (const ChannelTlsOptions& options :
       {ChannelTlsOptions{.ca_file = "/nowhere"}, ChannelTlsOptions{.certificate_file = "/nowhere"},
        ChannelTlsOptions{.key_file = "/nowhere"}}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ChannelCredentialsFor(options).status()));
  }
}

}  // namespace
}  // namespace automot::rpc
