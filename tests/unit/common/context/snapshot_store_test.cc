// The promises of the snapshot path (design 5), one thread at a time.
#include "common/context/snapshot_store.h"

#include <algorithm>
#include <thread>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/common/context/store_fixture.h"

namespace automot::context {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST_F(SnapshotStoreTest, LatestMissesBeforeTheFirstVersion) {
  const BlockStore::Handle handle = Latest();
  EXPECT_FALSE(handle);
  EXPECT_EQ(handle.miss(), Miss::kNoVersion);
}

TEST_F(SnapshotStoreTest, LatestGivesWhatWasPublishedWithItsProvenance) {
  ASSERT_EQ(Publish({{kSession, kEpisode, kEpoch, 5}, 500'000, 700'000}), Rejection::kNone);
  const BlockStore::Handle handle = Latest();
  ASSERT_TRUE(handle);
  EXPECT_EQ(handle.id(), (SnapshotId{kSession, kEpisode, kEpoch, 5}));
  EXPECT_EQ(handle.capture_time_us(), 500'000);
  EXPECT_EQ(handle.visible_time_us(), 700'000);
  EXPECT_EQ((*handle)->version(), 5U);
}

// Promise 1 and 6: a handle keeps exactly its version, whatever comes after it.
TEST_F(SnapshotStoreTest, HandleKeepsItsVersionWhenManyNewerOnesReplaceIt) {
  Publish(1);
  BlockStore::Handle handle = Latest();
  for (uint64_t version = 2; version <= 50; ++version) Publish(version);
  EXPECT_EQ((*handle)->version(), 1U);
  EXPECT_EQ(handle.id().version, 1U);
  EXPECT_EQ(census_.alive, 3 + 1);  // K retained and the pinned one
  handle.Release();
  EXPECT_EQ(census_.alive, 3 + 1) << "releasing must not destroy";
  EXPECT_EQ(store_->Collect(), 1U);
  EXPECT_EQ(census_.alive, 3);
}

TEST_F(SnapshotStoreTest, HandleSurvivesResetAndClose) {
  Publish(1);
  const BlockStore::Handle handle = Latest();
  ASSERT_TRUE(store_->Reset(session_, kEpisode + 1).ok());
  ASSERT_TRUE(store_->Close(session_).ok());
  store_->Collect();
  EXPECT_EQ((*handle)->version(), 1U);
}

TEST_F(SnapshotStoreTest, MovedHandlePinsOnce) {
  Publish(1);
  BlockStore::Handle first = Latest();
  BlockStore::Handle second = std::move(first);
  EXPECT_FALSE(first);
  EXPECT_EQ(store_->stats().pins_in_use, 1U);
  second = BlockStore::Handle();
  EXPECT_EQ(store_->stats().pins_in_use, 0U);
}

// Promise 6: destruction happens in Collect, on the collector's thread.
TEST_F(SnapshotStoreTest, ReleaseOnAnotherThreadLeavesDestructionToTheCollector) {
  Publish(1);
  BlockStore::Handle handle = Latest();
  for (uint64_t version = 2; version <= 5; ++version) Publish(version);
  std::thread([handle = std::move(handle)]() mutable {
    this_thread_reads = true;
    handle.Release();
  }).join();
  EXPECT_FALSE(census_.destroyed_by_reader);
  EXPECT_EQ(census_.alive, 4);
  store_->Collect();
  EXPECT_EQ(census_.alive, 3);
}

// Promise 7: K retained, and garbage bounded by the pin slots although a reader never lets go.
TEST_F(SnapshotStoreTest, GarbageIsBoundedByThePinSlotsOfAReaderThatStallsForEver) {
  std::vector<BlockStore::Handle> held;
  for (uint64_t version = 1; version <= 100; ++version) {
    Publish(version);
    BlockStore::Handle handle = Latest();
    if (handle) held.push_back(std::move(handle));
  }
  EXPECT_EQ(held.size(), 4U);  // pins_per_reader
  EXPECT_EQ(Latest().miss(), Miss::kNoPinSlot);
  EXPECT_EQ(census_.alive, 3 + 4);
  EXPECT_LE(census_.most_alive, 3 + 4 + 1);  // and one being published
  EXPECT_EQ(Publish(101), Rejection::kNone) << "a stalled reader must not stop publication";
}

TEST_F(SnapshotStoreTest, SpecificGivesRetainedVersionsOnly) {
  for (uint64_t version = 1; version <= 5; ++version) Publish(version);
  for (uint64_t version = 1; version <= 6; ++version) {
    const BlockStore::Handle handle = store_->Specific(session_, reader_, Info(version).id);
    EXPECT_EQ(static_cast<bool>(handle), version >= 3 && version <= 5) << version;
    if (handle) {
      EXPECT_EQ((*handle)->version(), version);
    }
  }
  EXPECT_EQ(store_->Specific(session_, reader_, Info(5, kEpoch - 1).id).miss(), Miss::kNoVersion);
}

TEST_F(SnapshotStoreTest, AtLeastGivesTheNewestIfItIsNewEnough) {
  Publish(1);
  Publish(2);
  EXPECT_EQ(store_->AtLeast(session_, reader_, Info(1).id).id().version, 2U);
  EXPECT_EQ(store_->AtLeast(session_, reader_, Info(2).id).id().version, 2U);
  EXPECT_EQ(store_->AtLeast(session_, reader_, Info(3).id).miss(), Miss::kNoVersion);
}

// Simulated latency: a snapshot captured at t is visible from t + L on (semantics 1).
TEST_F(SnapshotStoreTest, LatestVisibleHonoursVisibleAndCaptureTime) {
  for (uint64_t version = 1; version <= 3; ++version) {
    VersionInfo info = Info(version);
    info.visible_time_us = info.capture_time_us + 150'000;
    ASSERT_EQ(Publish(info), Rejection::kNone);
  }
  const auto version_at = [this](SessionTimeUs now_us) -> uint64_t {
    const BlockStore::Handle handle = store_->LatestVisible(session_, reader_, now_us);
    return handle ? handle.id().version : 0;
  };
  EXPECT_EQ(version_at(249'999), 0U);
  EXPECT_EQ(version_at(250'000), 1U);
  EXPECT_EQ(version_at(349'999), 1U);
  EXPECT_EQ(version_at(350'000), 2U);
  EXPECT_EQ(version_at(10'000'000), 3U);
  EXPECT_EQ(LatestVersion(), 3U);
}

TEST_F(SnapshotStoreTest, LatestVisibleNeverGivesAContextFromTheFuture) {
  Publish({{kSession, kEpisode, kEpoch, 1}, 500'000, 0});
  EXPECT_EQ(store_->LatestVisible(session_, reader_, 499'999).miss(), Miss::kNoVersion);
  EXPECT_TRUE(store_->LatestVisible(session_, reader_, 500'000));
}

// Promise 3 and 13, and "not newer is dropped and counted" (semantics 2).
TEST_F(SnapshotStoreTest, EpochFencingRefusesEveryOlderProducer) {
  Publish(1);
  ASSERT_TRUE(store_->Fence(session_, kEpoch + 5).ok());
  EXPECT_EQ(LatestVersion(), 1U) << "the old version serves until the new producer delivers";
  EXPECT_EQ(Publish(Info(2)), Rejection::kOldEpoch) << "fenced before the first new snapshot";
  EXPECT_EQ(Publish(Info(9, kEpoch + 6)), Rejection::kFutureEpoch);
  VersionInfo fresh = Info(1, kEpoch + 5);
  fresh.capture_time_us = 900'000;
  EXPECT_EQ(Publish(fresh), Rejection::kNone) << "versions restart with the epoch";
  EXPECT_EQ(Latest().id().epoch, kEpoch + 5);
  EXPECT_EQ(Publish(Info(50, kEpoch)), Rejection::kOldEpoch);
}

TEST_F(SnapshotStoreTest, NothingIsPublishedBeforeTheFirstFence) {
  const SessionHandle other = store_->Open(78, 1).value();
  EXPECT_EQ(store_->Publish(other, {{78, 1, 5, 1}, 1, 1}, nullptr), Rejection::kFutureEpoch);
}

TEST_F(SnapshotStoreTest, FenceMustRise) {
  EXPECT_EQ(store_->Fence(session_, kEpoch).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(store_->Fence({session_.slot, 99}, kEpoch + 1).code(), absl::StatusCode::kNotFound);
}

TEST_F(SnapshotStoreTest, RefusesWhatIsNotNewerAndKeepsServing) {
  Publish(5);
  EXPECT_EQ(Publish(5), Rejection::kOldVersion);
  EXPECT_EQ(Publish(4), Rejection::kOldVersion);
  EXPECT_EQ(Publish(Info(0)), Rejection::kOldVersion);
  VersionInfo same_capture = Info(6);
  same_capture.capture_time_us = 500'000;
  EXPECT_EQ(Publish(same_capture), Rejection::kCaptureNotNewer);
  VersionInfo foreign = Info(6);
  foreign.id.session = 1;
  EXPECT_EQ(Publish(foreign), Rejection::kWrongSession);
  EXPECT_EQ(LatestVersion(), 5U);
  EXPECT_EQ(census_.alive, 1) << "refused payloads are destroyed";
  EXPECT_EQ(store_->stats().rejected[static_cast<int>(Rejection::kOldVersion)], 3U);
  EXPECT_EQ(store_->stats().rejected[static_cast<int>(Rejection::kCaptureNotNewer)], 1U);
}

TEST_F(SnapshotStoreTest, ANewEpochDoesNotExcuseAnOldCaptureTime) {
  Publish(5);
  ASSERT_TRUE(store_->Fence(session_, kEpoch + 1).ok());
  EXPECT_EQ(Publish(Info(4, kEpoch + 1)), Rejection::kCaptureNotNewer);
}

TEST_F(SnapshotStoreTest, CaptureTimeZeroIsLegal) {
  EXPECT_EQ(Publish({{kSession, kEpisode, kEpoch, 1}, 0, 0}), Rejection::kNone);
  EXPECT_TRUE(store_->LatestVisible(session_, reader_, 0));
}

TEST_F(SnapshotStoreTest, ResetHidesEverythingAndDropsOldEpisodes) {
  Publish(1);
  Publish(2);
  ASSERT_TRUE(store_->Reset(session_, kEpisode + 1).ok());
  EXPECT_EQ(Latest().miss(), Miss::kNoVersion);
  EXPECT_EQ(store_->Specific(session_, reader_, Info(2).id).miss(), Miss::kNoVersion);
  EXPECT_EQ(Publish(Info(3)), Rejection::kOldEpisode);
  EXPECT_EQ(Publish(Info(3, kEpoch, kEpisode + 2)), Rejection::kFutureEpisode);
  EXPECT_EQ(Publish(Info(1, kEpoch, kEpisode + 1)), Rejection::kNone)
      << "session time restarts too";
  EXPECT_EQ(LatestVersion(), 1U);
  EXPECT_EQ(store_->Reset(session_, kEpisode).code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(SnapshotStoreTest, ExpireHidesOnlyWhatIsOlder) {
  for (uint64_t version = 1; version <= 3; ++version) Publish(version);
  ASSERT_TRUE(store_->Expire(session_, 200'000).ok());
  EXPECT_FALSE(store_->Specific(session_, reader_, Info(1).id));
  EXPECT_TRUE(store_->Specific(session_, reader_, Info(2).id));
  ASSERT_TRUE(store_->Expire(session_, 1'000'000).ok());
  EXPECT_EQ(Latest().miss(), Miss::kNoVersion);
  EXPECT_EQ(Publish(Info(3)), Rejection::kOldVersion) << "retention does not reopen the past";
  EXPECT_EQ(Publish(4), Rejection::kNone);
}

TEST_F(SnapshotStoreTest, TrimKeepsTheNewestAndNeverTakesTheLast) {
  for (uint64_t version = 1; version <= 3; ++version) Publish(version);
  ASSERT_TRUE(store_->Trim(session_, 2).ok());
  EXPECT_FALSE(store_->Specific(session_, reader_, Info(1).id));
  EXPECT_EQ(store_->Retained(session_), 2U);
  ASSERT_TRUE(store_->Trim(session_, 0).ok());
  EXPECT_EQ(store_->Retained(session_), 1U);
  EXPECT_EQ(Latest().id().version, 3U);
  EXPECT_EQ(Publish(4), Rejection::kNone);
}

TEST_F(SnapshotStoreTest, CountsWhatASessionRetains) {
  EXPECT_EQ(store_->Retained(session_), 0U);
  for (uint64_t version = 1; version <= 5; ++version) Publish(version);
  EXPECT_EQ(store_->Retained(session_), 3U);
  ASSERT_TRUE(store_->Expire(session_, Info(5).capture_time_us).ok());
  EXPECT_EQ(store_->Retained(session_), 1U);
  ASSERT_TRUE(store_->Close(session_).ok());
  EXPECT_EQ(store_->Retained(session_), 0U);
}

TEST_F(SnapshotStoreTest, ClosedSessionStaysUnknownWhenItsSlotServesAnother) {
  Publish(1);
  const SessionHandle old = session_;
  ASSERT_TRUE(store_->Close(old).ok());
  EXPECT_EQ(store_->Latest(old, reader_).miss(), Miss::kUnknownSession);
  const SessionHandle reused = store_->Open(99, 1).value();
  ASSERT_EQ(reused.slot, old.slot);
  ASSERT_TRUE(store_->Fence(reused, 1).ok());
  ASSERT_EQ(store_->Publish(reused, {{99, 1, 1, 1}, 5, 5}, std::make_unique<Block>(1, &census_)),
            Rejection::kNone);
  EXPECT_EQ(store_->Latest(old, reader_).miss(), Miss::kUnknownSession);
  EXPECT_TRUE(store_->Latest(reused, reader_));
  EXPECT_EQ(store_->Publish(old, Info(2), nullptr), Rejection::kUnknownSession);
  EXPECT_EQ(store_->Close(old).code(), absl::StatusCode::kNotFound);
}

TEST_F(SnapshotStoreTest, UnknownSessionsAndReadersAreMissesNotCrashes) {
  EXPECT_EQ(store_->Latest({1000, 1}, reader_).miss(), Miss::kUnknownSession);
  EXPECT_EQ(store_->Latest({}, reader_).miss(), Miss::kUnknownSession);
  EXPECT_EQ(store_->Latest({3, 1}, reader_).miss(), Miss::kUnknownSession);
  EXPECT_EQ(store_->Latest(session_, ReaderSlot{1000}).miss(), Miss::kNoPinSlot);
}

TEST_F(SnapshotStoreTest, OpenNamesTheLimitItMeets) {
  EXPECT_EQ(store_->Open(kSession, 1).status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(store_->Open(5, 1, 1).status().code(), absl::StatusCode::kInvalidArgument);
  for (uint64_t id = 1; id <= 3; ++id) ASSERT_TRUE(store_->Open(id, 1).ok());
  const absl::Status full = store_->Open(4, 1).status();
  EXPECT_EQ(full.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(full.message()), HasSubstr("limit 4"));
}

TEST_F(SnapshotStoreTest, FindGivesTheOpenSession) {
  EXPECT_EQ(store_->Find(kSession).value(), session_);
  EXPECT_EQ(store_->Find(1).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(SnapshotStoreTest, ASessionMayRetainMoreThanTheDefault) {
  const SessionHandle deep = store_->Open(5, 1, 10).value();
  ASSERT_TRUE(store_->Fence(deep, 1).ok());
  for (uint64_t version = 1; version <= 12; ++version) {
    const auto time = static_cast<SessionTimeUs>(version);
    store_->Publish(deep, {{5, 1, 1, version}, time, time}, nullptr);
  }
  EXPECT_TRUE(store_->Specific(deep, reader_, {5, 1, 1, 3}));
  EXPECT_FALSE(store_->Specific(deep, reader_, {5, 1, 1, 2}));
}

TEST_F(SnapshotStoreTest, ReadersAreCountedAndCannotLeaveWithHandles) {
  Publish(1);
  BlockStore::Handle handle = Latest();
  EXPECT_EQ(store_->UnregisterReader(reader_).code(), absl::StatusCode::kFailedPrecondition);
  handle.Release();
  EXPECT_TRUE(store_->UnregisterReader(reader_).ok());
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(store_->RegisterReader("r").ok());
  EXPECT_EQ(store_->RegisterReader("one too many").status().code(),
            absl::StatusCode::kResourceExhausted);
}

// Promise 11.
TEST_F(SnapshotStoreTest, DrainGivesNoNewHandlesAndReportsTheOldOnes) {
  Publish(1);
  BlockStore::Handle handle = Latest();
  const absl::Status late = store_->Drain(absl::ZeroDuration());
  EXPECT_EQ(late.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(late.message()), HasSubstr("1 handles"));
  EXPECT_EQ((*handle)->version(), 1U);
  EXPECT_EQ(Latest().miss(), Miss::kDraining);
  EXPECT_EQ(Publish(2), Rejection::kDraining);
  EXPECT_EQ(store_->Open(5, 1).status().code(), absl::StatusCode::kUnavailable);
  handle.Release();
  EXPECT_TRUE(store_->Drain(absl::Seconds(5)).ok());
}

TEST_F(SnapshotStoreTest, DrainReturnsOnceTheLastHandleIsReleasedElsewhere) {
  Publish(1);
  std::thread holder([handle = Latest()]() mutable { handle.Release(); });
  EXPECT_TRUE(store_->Drain(absl::Seconds(30)).ok());
  holder.join();
}

// Promise 12.
TEST_F(SnapshotStoreTest, EveryTransitionIsObservedInOrder) {
  Make({.sessions = 1, .retained = 2, .readers = 1, .pins_per_reader = 1});
  observer_.seen.clear();
  for (uint64_t version = 1; version <= 3; ++version) Publish(version);
  Publish(3);
  ASSERT_TRUE(store_->Reset(session_, kEpisode + 1).ok());
  store_->Collect();
  ASSERT_TRUE(store_->Close(session_).ok());
  std::vector<std::pair<TransitionKind, uint64_t>> seen;
  for (const Transition& t : observer_.seen) seen.emplace_back(t.kind, t.id.version);
  using K = TransitionKind;
  EXPECT_THAT(seen, ElementsAre(std::pair(K::kPublished, 1), std::pair(K::kPublished, 2),
                                std::pair(K::kSuperseded, 1), std::pair(K::kPublished, 3),
                                std::pair(K::kSuperseded, 2), std::pair(K::kRetired, 1),
                                std::pair(K::kFreed, 1), std::pair(K::kRejected, 3),
                                std::pair(K::kRetired, 3), std::pair(K::kRetired, 2),
                                std::pair(K::kReset, 0), std::pair(K::kFreed, 3),
                                std::pair(K::kFreed, 2), std::pair(K::kClosed, 0)));
  EXPECT_EQ(observer_.seen[7].rejection, Rejection::kOldVersion);
}

TEST_F(SnapshotStoreTest, StatsAddUp) {
  for (uint64_t version = 1; version <= 10; ++version) Publish(version);
  const BlockStore::Handle handle = Latest();
  const StoreStats stats = store_->stats();
  EXPECT_EQ(stats.published, 10U);
  EXPECT_EQ(stats.superseded, 9U);
  EXPECT_EQ(stats.retired, 7U);
  EXPECT_EQ(stats.freed, 7U);
  EXPECT_EQ(stats.live_versions, 3U);
  EXPECT_EQ(stats.pins_in_use, 1U);
  EXPECT_EQ(stats.open_sessions, 1U);
}

TEST_F(SnapshotStoreTest, EveryPayloadDiesWithTheStore) {
  for (uint64_t version = 1; version <= 10; ++version) Publish(version);
  store_.reset();
  EXPECT_EQ(census_.alive, 0);
}

TEST(SnapshotStoreOptions, RefusesOptionsOutOfRangeByName) {
  const auto refused = [](StoreOptions options, const char* name) {
    const absl::Status status = BlockStore::Create(options).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr(name));
  };
  refused({.sessions = 0}, "sessions");
  refused({.retained = 1}, "retained");
  refused({.retained = 8, .max_retained = 4}, "retained");
  refused({.readers = 0}, "readers");
  refused({.pins_per_reader = 0}, "pins_per_reader");
  refused({.sessions = 1U << 20, .readers = 4096, .pins_per_reader = 4096}, "pins_per_reader");
}

}  // namespace
}  // namespace automot::context
