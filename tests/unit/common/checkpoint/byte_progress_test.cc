#include "common/checkpoint/byte_progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/logging/log.h"
#include "common/time/clock.h"

namespace automot::model {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ByteProgressTest : public ::testing::Test {
 protected:
  void SetUp() override {
    logging::SetSink([this](std::string_view line) { lines_.emplace_back(line); });
  }
  void TearDown() override { logging::SetSink({}); }

  ManualClock clock_;
  std::vector<std::string> lines_;
};

TEST_F(ByteProgressTest, AShortReadIsSilent) {
  {
    ByteProgress progress("weights", 100, clock_);
    for (int i = 0; i < 100; ++i) {
      clock_.Advance(absl::Milliseconds(9));
      progress.Add(1);
    }
  }
  EXPECT_THAT(lines_, IsEmpty());
}

TEST_F(ByteProgressTest, ALongReadShowsOneLineASecondAndAnEnd) {
  {
    ByteProgress progress("weights", 2500, clock_);
    for (int i = 0; i < 2500; ++i) {
      clock_.Advance(absl::Milliseconds(1));
      progress.Add(1);
    }
  }
  EXPECT_THAT(lines_,
              ElementsAre(HasSubstr(R"("bytes_done":1000,"bytes_total":2500)"),
                          HasSubstr(R"("bytes_done":2000,"bytes_total":2500)"),
                          AllOf(HasSubstr("checkpoint_read"), HasSubstr(R"("what":"weights")"),
                                HasSubstr(R"("bytes":2500,"seconds":2.5)"))));
}

TEST_F(ByteProgressTest, OneStepThatTakesLongIsOneLine) {
  ByteProgress progress("weights", 2, clock_);
  clock_.Advance(absl::Seconds(10));
  progress.Add(1);
  progress.Add(1);
  EXPECT_THAT(lines_, ElementsAre(HasSubstr(R"("bytes_done":1)")));
}

}  // namespace
}  // namespace automot::model
