#include "common/rpc/connection_table.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vector>

namespace automot::rpc {
namespace {

class ConnectionTableTest : public ::testing::Test {
 protected:
  ~ConnectionTableTest() override {
    for (const int fd : open_) close(fd);
  }
  int Connect() {
    open_.push_back(socket(AF_UNIX, SOCK_STREAM, 0));
    return open_.back();
  }
  void Close(int fd) {
    close(fd);
    std::erase(open_, fd);
  }
  void PassSweepPeriod() { clock_.Advance(ConnectionTable::kSweepPeriod); }

  ManualClock clock_;
  std::vector<int> open_;
};

TEST_F(ConnectionTableTest, AdmitsUpToTheLimitAndAgainAfterOneClosed) {
  ConnectionTable table({.all = 3, .host = 3}, &clock_);
  const int first = Connect();
  EXPECT_TRUE(table.Admit(first, "a"));
  EXPECT_TRUE(table.Admit(Connect(), "b"));
  EXPECT_TRUE(table.Admit(Connect(), ""));
  const int waiting = Connect();
  EXPECT_FALSE(table.Admit(waiting, "c"));
  Close(first);
  PassSweepPeriod();
  EXPECT_TRUE(table.Admit(waiting, "c"));
  EXPECT_EQ(table.size(), 3U);
}

TEST_F(ConnectionTableTest, OneHostNeverTakesAll) {
  ConnectionTable table({.all = 4, .host = 2}, &clock_);
  EXPECT_TRUE(table.Admit(Connect(), "greedy"));
  EXPECT_TRUE(table.Admit(Connect(), "greedy"));
  EXPECT_FALSE(table.Admit(Connect(), "greedy"));
  EXPECT_TRUE(table.Admit(Connect(), "honest"));
  EXPECT_TRUE(table.Admit(Connect(), "")) << "Unix sockets count in all only";
}

TEST_F(ConnectionTableTest, ADescriptorThatStandsForAnotherFileIsAClosedConnection) {
  ConnectionTable table({.all = 1, .host = 1}, &clock_);
  const int connection = Connect();
  EXPECT_TRUE(table.Admit(connection, "a"));
  const int other = Connect();
  ASSERT_EQ(dup2(other, connection), connection);  // its number lives on
  PassSweepPeriod();
  EXPECT_TRUE(table.Admit(Connect(), "a"));
}

TEST_F(ConnectionTableTest, ANumberThatComesAgainReplacesWhatHadIt) {
  ConnectionTable table({.all = 2, .host = 2}, &clock_);
  for (int i = 0; i < 100; ++i) {
    const int connection = Connect();
    EXPECT_TRUE(table.Admit(connection, "a"));
    Close(connection);
  }
  EXPECT_EQ(table.size(), 1U);
}

TEST_F(ConnectionTableTest, AFloodOfRefusedOnesLooksAtAllNotMoreOftenThanAPeriod) {
  ConnectionTable table({.all = 1, .host = 1}, &clock_);
  const int connection = Connect();
  EXPECT_TRUE(table.Admit(connection, "a"));
  const int waiting = Connect();
  EXPECT_FALSE(table.Admit(waiting, "a"));
  dup2(waiting, connection);  // gone, under a number that is in use
  EXPECT_FALSE(table.Admit(waiting, "a")) << "looked at just now";
  PassSweepPeriod();
  EXPECT_TRUE(table.Admit(waiting, "a"));
}

}  // namespace
}  // namespace automot::rpc
