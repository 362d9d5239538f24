#include "services/planning/lane/name_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>

namespace automot::planning {
namespace {

using Addresses = std::vector<std::string>;
using ::testing::Contains;
using ::testing::ElementsAre;

TEST(ReplicaNameTest, OnlyOurOwnFormIsAName) {
  for (const char* address : {"127.0.0.1:1", "dns:///name:1", "unix:/tmp/x", "dns1:50"}) {
    const auto name = ParseReplicaName("--flag", address);
    ASSERT_TRUE(name.ok()) << name.status();
    EXPECT_FALSE(name->has_value()) << address;
  }
  const auto name = ParseReplicaName("--flag", "dns:reasoning.automot.svc:50052");
  ASSERT_TRUE(name.ok() && name->has_value());
  EXPECT_EQ((*name)->host, "reasoning.automot.svc");
  EXPECT_EQ((*name)->port, "50052");
}

TEST(ReplicaNameTest, HalfANameIsRefused) {
  for (const char* address : {"dns:", "dns:name", "dns:name:port", "dns::1", "dns:unix:/tmp/x"}) {
    const auto name = ParseReplicaName("--flag", address);
    EXPECT_TRUE(absl::IsInvalidArgument(name.status())) << address;
    EXPECT_THAT(std::string(name.status().message()), ::testing::HasSubstr("--flag"));
  }
}

TEST(NameWatchTest, SystemKnowsLocalhostAndNotNowhere) {
  const auto found = ResolveBySystem({"localhost", "7"});
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_THAT(*found, ::testing::AnyOf(Contains("127.0.0.1:7"), Contains("[::1]:7")));
  EXPECT_FALSE(ResolveBySystem({"nowhere.invalid", "7"}).ok());
}

// Gives one answer after the other, and then the last one for ever; says when all have been asked
// for once more.
class Script {
 public:
  explicit Script(std::deque<absl::StatusOr<Addresses>> answers) : answers_(std::move(answers)) {}
  absl::StatusOr<Addresses> Next() {
    const std::lock_guard lock(mutex_);
    if (answers_.size() == 1) {
      over_ = over_ + 1;
      changed_.notify_all();
      return answers_.front();
    }
    auto answer = answers_.front();
    answers_.pop_front();
    return answer;
  }
  void WaitUntilOver() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return over_ >= 2; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<absl::StatusOr<Addresses>> answers_;
  int over_ = 0;
};

TEST(NameWatchTest, SaysWhatChangedAndNothingOfErrorsAndEmptyAnswers) {
  Script script({Addresses{"b:1", "a:1"}, Addresses{"a:1", "b:1", "a:1"},
                 absl::UnavailableError("away"), Addresses{}, Addresses{"a:1"}, Addresses{"a:1"}});
  std::vector<Addresses> said;
  {
    const NameWatch watch(
        {"name", "1"}, [&](const ReplicaName&) { return script.Next(); }, absl::Milliseconds(1),
        [&](const Addresses& addresses) { said.push_back(addresses); });
    script.WaitUntilOver();
  }
  EXPECT_THAT(said, ElementsAre(ElementsAre("a:1", "b:1"), ElementsAre("a:1")));
}

}  // namespace
}  // namespace automot::planning
