#include <gtest/gtest.h>

#include "services/reasoning/understanding_expert.h"

namespace automot::reasoning {
namespace {

TEST(AskOptions, EveryLimitIsNamed) {
  EXPECT_TRUE(ValidateAskOptions({}).ok());
  EXPECT_TRUE(ValidateAskOptions({.max_tokens = 1024, .stop = {"\n\n"}}).ok());
  EXPECT_EQ(ValidateAskOptions({.max_tokens = 0}),
            absl::InvalidArgumentError("max_tokens is 0; it must be 1 to 1024"));
  EXPECT_EQ(ValidateAskOptions({.max_tokens = 1025}),
            absl::InvalidArgumentError("max_tokens is 1025; it must be 1 to 1024"));
  EXPECT_EQ(ValidateAskOptions({.stop = std::vector<std::string>(9, "x")}),
            absl::InvalidArgumentError("stop has 9 strings; it must have at most 8"));
  EXPECT_EQ(ValidateAskOptions({.stop = {""}}),
            absl::InvalidArgumentError("a stop string has 0 bytes; it must have 1 to 256"));
  EXPECT_EQ(ValidateAskOptions({.sampling = {.temperature = -1.0}}),
            absl::InvalidArgumentError("temperature is -1, must be in [0, 100]"));
}

}  // namespace
}  // namespace automot::reasoning
