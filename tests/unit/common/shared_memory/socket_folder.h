// A private folder for one socket, removed with what it holds.
#pragma once

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

namespace automot::shared_memory {

class SocketFolder {
 public:
  SocketFolder() {
    std::string pattern = "/tmp/automot-test-XXXXXX";
    folder_ = mkdtemp(pattern.data());
  }
  ~SocketFolder() { std::filesystem::remove_all(folder_); }
  SocketFolder(const SocketFolder&) = delete;
  SocketFolder& operator=(const SocketFolder&) = delete;

  std::string Path() const { return folder_ + "/socket"; }
  const std::string& folder() const { return folder_; }

 private:
  std::string folder_;
};

}  // namespace automot::shared_memory
