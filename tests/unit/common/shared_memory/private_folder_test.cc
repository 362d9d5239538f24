#include "common/shared_memory/private_folder.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "common/shared_memory/local_socket.h"
#include "tests/unit/common/shared_memory/socket_folder.h"

namespace automot::shared_memory {
namespace {

class PrivateFolderTest : public ::testing::Test {
 protected:
  PrivateFolderTest() { setenv("XDG_RUNTIME_DIR", folder_.folder().c_str(), 1); }
  ~PrivateFolderTest() override { unsetenv("XDG_RUNTIME_DIR"); }
  std::string Ours() const { return folder_.folder() + "/automot-serve"; }

  const SocketFolder folder_;
};

TEST_F(PrivateFolderTest, IsMadeForItsUserAlone) {
  const auto path = PrivateSocketPath("reasoning");
  ASSERT_TRUE(path.ok()) << path.status();
  EXPECT_EQ(*path, Ours() + "/reasoning-" + std::to_string(getpid()) + ".socket");
  struct stat found = {};
  ASSERT_EQ(stat(Ours().c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777U, 0700U);
  EXPECT_EQ(PrivateSocketPath("reasoning").value(), *path) << "again";
}

TEST_F(PrivateFolderTest, SocketsOfDeadProcessesAreRemovedAndNoOthers) {
  const std::string ours = PrivateSocketPath("reasoning").value();
  const auto listener = ListenLocal(ours, 0600);
  ASSERT_TRUE(listener.ok());
  const pid_t child = fork();
  if (child == 0) _exit(ListenLocal(PrivateSocketPath("dead").value(), 0600).ok() ? 0 : 1);
  waitpid(child, nullptr, 0);
  const std::string dead = Ours() + "/dead-" + std::to_string(child) + ".socket";
  const std::string foreign = Ours() + "/notes.txt";
  ASSERT_GE(UniqueDescriptor(open(foreign.c_str(), O_CREAT | O_WRONLY, 0600)).get(), 0);
  ASSERT_EQ(access(dead.c_str(), F_OK), 0);
  ASSERT_TRUE(PrivateSocketPath("reasoning").ok());
  EXPECT_NE(access(dead.c_str(), F_OK), 0);
  EXPECT_EQ(access(ours.c_str(), F_OK), 0);
  EXPECT_EQ(access(foreign.c_str(), F_OK), 0);
}

TEST_F(PrivateFolderTest, WhatOthersCanEnterIsRefused) {
  ASSERT_EQ(mkdir(Ours().c_str(), 0700), 0);
  ASSERT_EQ(chmod(Ours().c_str(), 0755), 0);
  EXPECT_TRUE(absl::IsFailedPrecondition(PrivateSocketPath("reasoning").status()));
}

TEST_F(PrivateFolderTest, ALinkIsRefused) {
  const SocketFolder elsewhere;
  ASSERT_EQ(symlink(elsewhere.folder().c_str(), Ours().c_str()), 0);
  EXPECT_TRUE(absl::IsFailedPrecondition(PrivateSocketPath("reasoning").status()));
}

TEST_F(PrivateFolderTest, AnotherUsersFolderIsRefused) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can give a folder away";
  ASSERT_EQ(mkdir(Ours().c_str(), 0700), 0);
  ASSERT_EQ(chown(Ours().c_str(), 65534, 65534), 0);
  EXPECT_TRUE(absl::IsFailedPrecondition(PrivateSocketPath("reasoning").status()));
}

}  // namespace
}  // namespace automot::shared_memory
