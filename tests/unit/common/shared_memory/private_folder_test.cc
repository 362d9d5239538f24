#include "common/shared_memory/private_folder.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

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
