#include "services/planning/session_token.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

namespace automot::planning {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const std::string kKey(32, 'k');

SessionToken Token() {
  SessionToken token;
  token.session = "car-7";
  token.secret = std::string(32, 'a');
  token.episode = 4;
  token.options.planning_rate_hz = 1.0 / 3.0;
  token.options.reasoning_rate_hz = 2.5;
  token.options.time_mode = TimeMode::kStepped;
  token.options.simulated_latency_us = 120'000;
  token.options.lockstep_ticks = 9;
  token.options.soft_staleness_us = 1;
  token.options.hard_staleness_us = 2;
  token.options.retention_us = 3;
  token.options.on_expired = OnExpired::kWait;
  token.options.on_route_change = OnRouteChange::kFallback;
  token.options.on_missing_modality = OnMissingModality::kFlag;
  token.options.on_no_context = OnNoContext::kPark;
  token.options.run_controller = true;
  token.options.required_model_revision = "a\nb";
  return token;
}

TEST(SessionTokenTest, SaysWhatWasSigned) {
  const auto read = VerifyToken(*SignToken(Token(), kKey), kKey);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->session, "car-7");
  EXPECT_EQ(read->secret, Token().secret);
  EXPECT_EQ(read->episode, 4U);
  const SessionOptions want = Token().options, o = read->options;
  EXPECT_EQ(o.planning_rate_hz, want.planning_rate_hz) << "to the last bit";
  EXPECT_EQ(o.reasoning_rate_hz, want.reasoning_rate_hz);
  EXPECT_EQ(o.time_mode, want.time_mode);
  EXPECT_EQ(o.simulated_latency_us, want.simulated_latency_us);
  EXPECT_EQ(o.lockstep_ticks, want.lockstep_ticks);
  EXPECT_EQ(o.soft_staleness_us, want.soft_staleness_us);
  EXPECT_EQ(o.hard_staleness_us, want.hard_staleness_us);
  EXPECT_EQ(o.retention_us, want.retention_us);
  EXPECT_EQ(o.on_expired, want.on_expired);
  EXPECT_EQ(o.on_route_change, want.on_route_change);
  EXPECT_EQ(o.on_missing_modality, want.on_missing_modality);
  EXPECT_EQ(o.on_no_context, want.on_no_context);
  EXPECT_EQ(o.run_controller, want.run_controller);
  EXPECT_EQ(o.required_model_revision, want.required_model_revision);
}

TEST(SessionTokenTest, EveryChangedLetterIsNoticed) {
  const std::string token = *SignToken(Token(), kKey);
  for (std::size_t i = 0; i < token.size(); ++i) {
    std::string changed = token;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    const auto read = VerifyToken(changed, kKey);
    // The last letter of base64 has bits that stand for nothing.
    if (read.ok()) {
      EXPECT_EQ(i, token.size() - 1);
      continue;
    }
    EXPECT_TRUE(absl::IsPermissionDenied(read.status()));
    EXPECT_THAT(std::string(read.status().message()), Not(HasSubstr(changed)));
  }
}

TEST(SessionTokenTest, AnotherKeyAndOtherTextsAreRefused) {
  EXPECT_TRUE(absl::IsPermissionDenied(
      VerifyToken(*SignToken(Token(), kKey), std::string(32, 'x')).status()));
  for (const std::string& text : {std::string(), std::string("v1"), std::string("v1.."),
                                  std::string("0123456789abcdef0123456789abcdef"),
                                  std::string("v2.YQ.YQ"), std::string(100'000, '.')}) {
    EXPECT_TRUE(absl::IsPermissionDenied(VerifyToken(text, kKey).status())) << text.substr(0, 40);
  }
}

// A signature is no proof of sense: replicas may be of different versions.
TEST(SessionTokenTest, SignedNonsenseIsRefused) {
  SessionToken token = Token();
  token.options.planning_rate_hz = -1.0;
  EXPECT_TRUE(absl::IsPermissionDenied(VerifyToken(*SignToken(token, kKey), kKey).status()));
  token = Token();
  token.session = "a\nb";
  EXPECT_TRUE(absl::IsPermissionDenied(VerifyToken(*SignToken(token, kKey), kKey).status()));
}

TEST(SessionKeyTest, IsReadWithoutItsLineEndAndBounded) {
  const std::string path = ::testing::TempDir() + "/session-key";
  const auto write = [&](const std::string& text) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
  };
  write(kKey + "\r\n");
  EXPECT_EQ(*ReadSessionKey("--session-key-file", path), kKey);
  for (const std::size_t bytes : {0U, 31U, 4097U}) {
    write(std::string(bytes, 'k'));
    const auto key = ReadSessionKey("--session-key-file", path);
    EXPECT_TRUE(absl::IsInvalidArgument(key.status())) << bytes;
    EXPECT_THAT(std::string(key.status().message()), HasSubstr("--session-key-file"));
  }
  EXPECT_TRUE(absl::IsInvalidArgument(ReadSessionKey("--flag", path + ".none").status()));
}

}  // namespace
}  // namespace automot::planning
