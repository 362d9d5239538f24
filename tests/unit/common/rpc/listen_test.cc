#include "common/rpc/listen.h"

#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/security/credentials.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

namespace automot::rpc {
namespace {

using ::testing::HasSubstr;

class ListenTest : public ::testing::Test {
 protected:
  ListenTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "listen-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
    path_ = folder_ / "a.sock";
  }
  ~ListenTest() override { std::filesystem::remove_all(folder_); }

  absl::StatusOr<Listening> ListenHere() {
    grpc::ServerBuilder builder;
    builder.RegisterCallbackGenericService(&service_);  // a server needs one of some kind
    return Listen("unix:" + path_.string(), grpc::InsecureServerCredentials(), &builder);
  }
  bool Connects() const {
    return grpc::CreateChannel("unix:" + path_.string(), grpc::InsecureChannelCredentials())
        ->WaitForConnected(std::chrono::system_clock::now() + std::chrono::seconds(10));
  }

  std::filesystem::path folder_, path_;
  grpc::CallbackGenericService service_;
};

// What a killed server leaves: the file, and nobody behind it.
void LeaveStaleSocket(const std::filesystem::path& path) {
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  std::strncpy(name.sun_path, path.c_str(), sizeof name.sun_path - 1);
  const int listener = socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_EQ(bind(listener, reinterpret_cast<const sockaddr*>(&name), sizeof name), 0);
  close(listener);
}

TEST_F(ListenTest, ASocketIsItsOwnersAloneAndTheUmaskStays) {
  const mode_t before = umask(022);
  const auto listening = ListenHere();
  EXPECT_EQ(umask(before), 022U);
  ASSERT_TRUE(listening.ok()) << listening.status();
  EXPECT_EQ(listening->address, "unix:" + path_.string());
  struct stat found{};
  ASSERT_EQ(stat(path_.c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777U, 0600U);
  EXPECT_TRUE(Connects());
  listening->server->Shutdown();
}

TEST_F(ListenTest, AStaleSocketIsReplaced) {
  LeaveStaleSocket(path_);
  ASSERT_TRUE(std::filesystem::exists(path_));
  const auto listening = ListenHere();
  ASSERT_TRUE(listening.ok()) << listening.status();
  EXPECT_TRUE(Connects());
  listening->server->Shutdown();
}

TEST_F(ListenTest, ASocketInUseIsLeftToItsServer) {
  const auto first = ListenHere();
  ASSERT_TRUE(first.ok());
  const auto second = ListenHere();
  EXPECT_TRUE(absl::IsUnavailable(second.status()));
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("in use"));
  EXPECT_TRUE(Connects());
  first->server->Shutdown();
}

TEST_F(ListenTest, AnotherFileIsNotTouched) {
  std::ofstream(path_) << "precious";
  const auto listening = ListenHere();
  EXPECT_TRUE(absl::IsUnavailable(listening.status()));
  EXPECT_THAT(std::string(listening.status().message()), HasSubstr("not a socket"));
  EXPECT_EQ(std::filesystem::file_size(path_), 8U);
}

}  // namespace
}  // namespace automot::rpc
