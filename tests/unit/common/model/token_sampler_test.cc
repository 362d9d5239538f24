#include "common/model/token_sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>

namespace automot::model {
namespace {

// Logits whose probabilities are 0.1, 0.4, 0.2, 0.3.
const std::vector<float> kLogits = {std::log(0.1F), std::log(0.4F), std::log(0.2F), std::log(0.3F)};

// Shares of `draws` draws.
std::map<int64_t, double> Shares(const SamplingOptions& options, int draws = 20'000) {
  TokenSampler sampler(options);
  std::map<int64_t, double> shares;
  for (int i = 0; i < draws; ++i) shares[sampler.Choose(kLogits)] += 1.0 / draws;
  return shares;
}

std::vector<int64_t> Sequence(uint64_t seed, int count = 32) {
  TokenSampler sampler({.temperature = 1.0, .seed = seed});
  std::vector<int64_t> tokens;
  for (int i = 0; i < count; ++i) tokens.push_back(sampler.Choose(kLogits));
  return tokens;
}

TEST(TokenSampler, GreedyTakesTheFirstOfTheLargest) {
  TokenSampler sampler({});
  EXPECT_EQ(sampler.Choose(kLogits), 1);
  EXPECT_EQ(sampler.Choose({0.5F, 2.0F, 2.0F}), 1);
}

TEST(TokenSampler, DrawsWithTheProbabilitiesOfTheLogits) {
  const auto shares = Shares({.temperature = 1.0, .seed = 1});
  // Four standard deviations of 20000 draws are below 0.014.
  EXPECT_NEAR(shares.at(0), 0.1, 0.015);
  EXPECT_NEAR(shares.at(1), 0.4, 0.015);
  EXPECT_NEAR(shares.at(2), 0.2, 0.015);
  EXPECT_NEAR(shares.at(3), 0.3, 0.015);
}

TEST(TokenSampler, TemperatureSharpensTheProbabilities) {
  // Squared: 0.01, 0.16, 0.04, 0.09 of 0.3.
  const auto shares = Shares({.temperature = 0.5, .seed = 2});
  EXPECT_NEAR(shares.at(1), 0.16 / 0.3, 0.015);
  EXPECT_NEAR(shares.at(0), 0.01 / 0.3, 0.015);
}

TEST(TokenSampler, TopKKeepsTheLikeliestAndTheirProportions) {
  const auto shares = Shares({.temperature = 1.0, .top_k = 2, .seed = 3});
  EXPECT_EQ(shares.size(), 2U);
  EXPECT_NEAR(shares.at(1), 0.4 / 0.7, 0.015);
  EXPECT_NEAR(shares.at(3), 0.3 / 0.7, 0.015);
}

TEST(TokenSampler, TopKKeepsWhatTiesWithTheLast) {
  TokenSampler sampler({.temperature = 1.0, .top_k = 1, .seed = 4});
  std::map<int64_t, int> seen;
  for (int i = 0; i < 100; ++i) ++seen[sampler.Choose({1.0F, 2.0F, 2.0F})];
  EXPECT_EQ(seen.count(0), 0U);
  EXPECT_EQ(seen.size(), 2U);
}

TEST(TokenSampler, TopPKeepsTheFewestThatReachIt) {
  EXPECT_EQ(Shares({.temperature = 1.0, .top_p = 0.39, .seed = 5}).size(), 1U);
  EXPECT_EQ(Shares({.temperature = 1.0, .top_p = 0.69, .seed = 5}).size(), 2U);
  EXPECT_EQ(Shares({.temperature = 1.0, .top_p = 0.71, .seed = 5}).size(), 3U);
  EXPECT_EQ(Shares({.temperature = 1.0, .top_p = 1e-9, .seed = 5}).size(), 1U);
}

// Of what top-k left, as everyone applies them.
TEST(TokenSampler, TopPCountsOnlyWhatTopKLeft) {
  EXPECT_EQ(Shares({.temperature = 1.0, .top_k = 2, .top_p = 0.57, .seed = 6}).size(), 1U);
  EXPECT_EQ(Shares({.temperature = 1.0, .top_k = 2, .top_p = 0.58, .seed = 6}).size(), 2U);
}

TEST(TokenSampler, TheSeedDecidesTheDraws) {
  EXPECT_EQ(Sequence(7), Sequence(7));
  EXPECT_NE(Sequence(7), Sequence(8));
}

TEST(TokenSampler, NotANumberIsNeverChosen) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  TokenSampler greedy({}), sampled({.temperature = 1.0, .top_k = 2, .top_p = 0.9, .seed = 9});
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(greedy.Choose({nan, 1.0F, nan, 0.0F}), 1);
    const int64_t token = sampled.Choose({nan, 1.0F, nan, 0.0F});
    EXPECT_TRUE(token == 1 || token == 3) << token;
  }
}

TEST(TokenSampler, OptionsOutsideTheirRangeAreNamed) {
  EXPECT_EQ(ValidateSampling({.temperature = -1.0}),
            absl::InvalidArgumentError("temperature is -1, must be in [0, 100]"));
  EXPECT_EQ(ValidateSampling({.temperature = std::nan("")}),
            absl::InvalidArgumentError("temperature is nan, must be in [0, 100]"));
  EXPECT_EQ(ValidateSampling({.top_k = -1}),
            absl::InvalidArgumentError("top_k is -1, must not be negative"));
  EXPECT_EQ(ValidateSampling({.top_p = 0.0}),
            absl::InvalidArgumentError("top_p is 0, must be in (0, 1]"));
  EXPECT_TRUE(ValidateSampling({.temperature = 0.7, .top_k = 20, .top_p = 0.8}).ok());
}

}  // namespace
}  // namespace automot::model
