// Every interleaving of publishing, reading and retiring, of the store's own code. Decision record
// 0018 has what is exhaustive and what is bounded.
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>
#include <string>

#include "tests/model/explorer.h"
#include "tests/model/store_scenario.h"

namespace automot::model {
namespace {

bool LongTests() {
  const char* const value = std::getenv("AUTOMOT_LONG_TESTS");
  return value != nullptr && std::string(value) == "1";
}

Exploration Search(const Explorer::Maker& make, const Explorer::Options& options = {}) {
  Explorer explorer;
  const Exploration result = explorer.Explore(options, make);
  std::cout << result.ToString() << "\n";
  EXPECT_EQ(result.failure, "") << result.ToString();
  return result;
}

// Exhaustive: every interleaving.
TEST(StoreModelTest, EveryInterleavingOfOneReaderReadingTwiceBesideThreePublications) {
  EXPECT_TRUE(Search(PublishReadRetire({.reads = 2, .versions = 3})).complete);
}
TEST(StoreModelTest, EveryInterleavingOfTwoReadersBesideTwoPublications) {
  EXPECT_TRUE(Search(PublishReadRetire({.readers = 2, .versions = 2})).complete);
}
TEST(StoreModelTest, EveryInterleavingOfAReaderBesideTwoWriters) {
  EXPECT_TRUE(Search(PublishReadRetire({.writers = 2, .versions = 2})).complete);
}
// The same where the readers enter the view, as they do after a writer came in between.
TEST(StoreModelTest, EveryInterleavingOfReadersThatEnterTheView) {
  for (const StoreShape& shape :
       {StoreShape{.reads = 2, .versions = 3, .counted = true},
        StoreShape{.readers = 2, .counted = true}, StoreShape{.writers = 2, .counted = true}}) {
    EXPECT_TRUE(Search(PublishReadRetire(shape)).complete);
  }
}
TEST(StoreModelTest, EveryInterleavingOfAReaderBesideClosingAndReuse) {
  EXPECT_TRUE(Search(CloseAndReuse(1)).complete);
}
TEST(StoreModelTest, EveryInterleavingOfTwoReadersBesideADrain) {
  EXPECT_TRUE(Search(ReadAndDrain()).complete);
}

// The full size: every interleaving with at most so many preemptions (a switch away from a thread
// that could go on; waiting for the lock and ending are none).
TEST(StoreModelTest, ThreeReadersTwoWritersFourVersions) {
  StoreShape shape{.readers = 3, .writers = 2, .versions = 4};
  EXPECT_GT(Search(PublishReadRetire(shape), {.most_preemptions = 2}).interleavings, 1e6);
  shape.counted = true;
  Search(PublishReadRetire(shape), {.most_preemptions = LongTests() ? 2 : 1});
}

TEST(StoreModelTest, LongEveryInterleavingOfTwoReadersBesideClosingAndReuse) {
  if (!LongTests()) GTEST_SKIP() << "minutes: tools/dev.sh test --long";
  EXPECT_TRUE(Search(CloseAndReuse(2)).complete);
}

TEST(StoreModelTest, LongEveryInterleavingOfTwoReadersBesideTwoWriters) {
  if (!LongTests()) GTEST_SKIP() << "minutes: tools/dev.sh test --long";
  EXPECT_TRUE(Search(PublishReadRetire({.readers = 2, .writers = 2, .versions = 2})).complete);
}
TEST(StoreModelTest, LongEveryInterleavingOfTwoReadersBesideThreePublications) {
  if (!LongTests()) GTEST_SKIP() << "minutes: tools/dev.sh test --long";
  EXPECT_TRUE(Search(PublishReadRetire({.readers = 2, .versions = 3})).complete);
}

}  // namespace
}  // namespace automot::model
