// A reader stopped for ever inside the read itself: after it entered a view, before it pinned a
// version.
#include "common/context/version_table.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "gtest/gtest.h"

namespace automot::context {
namespace {

constexpr uint32_t kRetained = 3;

class VersionTableTest : public testing::Test {
 protected:
  void SetUp() override {
    reader_ = table_.RegisterReader("reader").value();
    session_ = table_.Open(1, 1, 0).value();
    ASSERT_TRUE(table_.Fence(session_, 1).ok());
  }

  uint32_t Publish(uint64_t version) {
    const uint32_t cell = table_.Reserve().value();
    const auto time = static_cast<SessionTimeUs>(version);
    EXPECT_EQ(table_.Commit(session_, cell, {{1, 1, 1, version}, time, time}), Rejection::kNone);
    return cell;
  }
  // Cells collected and returned.
  std::vector<uint32_t> Collect() {
    std::vector<uint32_t> cells;
    table_.Gather(&cells);
    table_.Return(cells);
    return cells;
  }

  VersionTable table_{
      {.sessions = 2, .retained = kRetained, .max_retained = 4, .readers = 1, .pins_per_reader = 2},
      nullptr};
  ReaderSlot reader_;
  SessionHandle session_;
};

constexpr VersionTable::Query kLatest{.kind = VersionTable::Query::Kind::kLatest};

// The usual read: a look at the newest cell before it is pinned, and one after.
TEST_F(VersionTableTest, APinnedNewestVersionIsGivenOnlyWhileItIsTheNewest) {
  Publish(1);
  const VersionTable::Acquired now =
      table_.Confirm(table_.Announce(session_, reader_, kLatest), session_, kLatest);
  ASSERT_NE(now.pin, nullptr);
  EXPECT_EQ(table_.info(now.cell).id.version, 1U);
  VersionTable::Unpin(now.pin);
  // However often views and cells are used again in between.
  uint64_t version = 1;
  for (int publications = 1; publications <= 60; ++publications) {
    const VersionTable::Announced announced = table_.Announce(session_, reader_, kLatest);
    ASSERT_NE(announced.pin, nullptr);
    for (int i = 0; i < publications; ++i) {
      Publish(++version);
      Collect();
    }
    EXPECT_EQ(table_.Confirm(announced, session_, kLatest).pin, nullptr) << publications;
    EXPECT_EQ(table_.PinsInUse(), 0U);
    const VersionTable::Acquired got = table_.Acquire(session_, reader_, kLatest);
    ASSERT_NE(got.pin, nullptr);
    EXPECT_EQ(table_.info(got.cell).id.version, version);
    VersionTable::Unpin(got.pin);
  }
}

TEST_F(VersionTableTest, AReaderStoppedBetweenTheLooksKeepsOneVersion) {
  const uint32_t cell = Publish(1);
  const VersionTable::Announced announced = table_.Announce(session_, reader_, kLatest);
  ASSERT_NE(announced.pin, nullptr);
  for (uint64_t version = 2; version < 100; ++version) {
    EXPECT_NE(Publish(version), cell);
    for (uint32_t freed : Collect()) EXPECT_NE(freed, cell);
  }
  EXPECT_EQ(table_.stats().live_versions, kRetained + 1);
  EXPECT_EQ(table_.Confirm(announced, session_, kLatest).pin, nullptr);
  EXPECT_EQ(Collect(), std::vector<uint32_t>{cell});
}

TEST_F(VersionTableTest, NothingIsConfirmedAfterACloseADrainOrForAnotherQuestion) {
  Publish(100);
  const VersionTable::Query early{.kind = VersionTable::Query::Kind::kVisible, .now_us = 99};
  EXPECT_EQ(table_.Confirm(table_.Announce(session_, reader_, early), session_, early).pin,
            nullptr);
  const VersionTable::Query specific{.kind = VersionTable::Query::Kind::kSpecific,
                                     .id = {1, 1, 1, 100}};
  EXPECT_EQ(table_.Announce(session_, reader_, specific).pin, nullptr);

  VersionTable::Announced announced = table_.Announce(session_, reader_, kLatest);
  ASSERT_TRUE(table_.Close(session_).ok());
  const SessionHandle other = table_.Open(2, 1, 0).value();
  ASSERT_EQ(other.slot, session_.slot);
  ASSERT_TRUE(table_.Fence(other, 1).ok());
  const uint32_t cell = table_.Reserve().value();
  ASSERT_EQ(table_.Commit(other, cell, {{2, 1, 1, 1}, 1, 1}), Rejection::kNone);
  EXPECT_EQ(table_.Confirm(announced, session_, kLatest).pin, nullptr);
  announced = table_.Announce(session_, reader_, kLatest);
  EXPECT_EQ(table_.Confirm(announced, session_, kLatest).pin, nullptr) << "another's version";

  announced = table_.Announce(other, reader_, kLatest);
  ASSERT_NE(announced.pin, nullptr);
  table_.BeginDrain();
  EXPECT_EQ(table_.AwaitNoPins(absl::ZeroDuration()), 1U) << "it may still be given";
  EXPECT_EQ(table_.Confirm(announced, other, kLatest).pin, nullptr);
  EXPECT_EQ(table_.AwaitNoPins(absl::ZeroDuration()), 0U);
}

TEST_F(VersionTableTest, AReaderStoppedInsideTheReadKeepsItsViewWhole) {
  std::vector<uint32_t> entered;
  for (uint64_t version = 1; version <= kRetained; ++version) entered.push_back(Publish(version));
  const VersionTable::Entry entry = table_.Enter(session_, reader_);
  ASSERT_NE(entry.view, nullptr);
  for (uint64_t version = 10; version < 200; ++version) {
    const uint32_t cell = Publish(version);
    EXPECT_EQ(std::ranges::count(entered, cell), 0) << "a cell was reused under a reader";
    for (uint32_t freed : Collect()) EXPECT_EQ(std::ranges::count(entered, freed), 0);
  }
  const VersionTable::Acquired got =
      table_.Settle(entry, session_, {.kind = VersionTable::Query::Kind::kLatest});
  ASSERT_NE(got.pin, nullptr);
  EXPECT_EQ(got.cell, entered.back());
  EXPECT_EQ(table_.info(got.cell).id.version, kRetained);
  EXPECT_EQ(Collect().size(), kRetained - 1) << "the versions it did not choose are free now";
  VersionTable::Unpin(got.pin);
  EXPECT_EQ(Collect().size(), 1U);
}

TEST_F(VersionTableTest, GarbageStaysBoundedWithEveryReaderStoppedInsideTheRead) {
  std::vector<VersionTable::Entry> stopped;
  for (uint64_t version = 1; version <= 100; ++version) {
    Publish(version);
    if (version % 10 == 0) {
      const VersionTable::Entry entry = table_.Enter(session_, reader_);
      if (entry.view != nullptr) stopped.push_back(entry);
    }
    Collect();
  }
  EXPECT_EQ(stopped.size(), 2U);  // pins_per_reader: a reader claims before it enters
  EXPECT_LE(table_.stats().live_versions, kRetained + 2 * kRetained);
  for (const VersionTable::Entry& entry : stopped) {
    const auto got = table_.Settle(entry, session_, {});
    ASSERT_NE(got.pin, nullptr);
    VersionTable::Unpin(got.pin);
  }
  Collect();
  EXPECT_EQ(table_.stats().live_versions, kRetained);
}

TEST_F(VersionTableTest, AReaderStoppedAcrossCloseAndReuseOfTheSlotGetsItsOwnSession) {
  Publish(1);
  const VersionTable::Entry entry = table_.Enter(session_, reader_);
  ASSERT_TRUE(table_.Close(session_).ok());
  const SessionHandle other = table_.Open(2, 1, 0).value();
  ASSERT_EQ(other.slot, session_.slot);
  Collect();
  const VersionTable::Acquired got = table_.Settle(entry, session_, {});
  ASSERT_NE(got.pin, nullptr) << "entered before the close: it may still read";
  EXPECT_EQ(table_.info(got.cell).id.session, 1U);
  VersionTable::Unpin(got.pin);
}

// Counts of entries are folded into the view now and then; readers inside at that moment stay
// counted.
TEST_F(VersionTableTest, FoldingTheCountKeepsReadersInside) {
  const uint32_t cell = Publish(1);
  const VersionTable::Entry before = table_.Enter(session_, reader_);
  Collect();
  Collect();  // both sessions' words are folded by now
  const VersionTable::Entry after = table_.Enter(session_, reader_);
  Collect();
  Collect();
  for (uint64_t version = 2; version <= 10; ++version) {
    Publish(version);
    for (uint32_t freed : Collect()) EXPECT_NE(freed, cell);
  }
  for (const VersionTable::Entry& entry : {before, after}) {
    const VersionTable::Acquired got = table_.Settle(entry, session_, {});
    EXPECT_EQ(got.cell, cell);
    VersionTable::Unpin(got.pin);
  }
  EXPECT_EQ(Collect().size(), 1U);
}

TEST_F(VersionTableTest, ADrainCountsAReaderThatIsInside) {
  Publish(1);
  const VersionTable::Entry entry = table_.Enter(session_, reader_);
  table_.BeginDrain();
  EXPECT_EQ(table_.AwaitNoPins(absl::ZeroDuration()), 1U);
  EXPECT_EQ(table_.Enter(session_, reader_).miss, Miss::kDraining);
  VersionTable::Unpin(table_.Settle(entry, session_, {}).pin);
  EXPECT_EQ(table_.AwaitNoPins(absl::ZeroDuration()), 0U);
}

}  // namespace
}  // namespace automot::context
