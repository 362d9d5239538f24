// Copies of the tiny golden checkpoint whose tensors and documents a test may change.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/checkpoint/checkpoint.h"
#include "nlohmann/json.hpp"

namespace automot::model {

namespace fs = std::filesystem;

inline const char kTiny[] = AUTOMOT_SOURCE_DIR "/tests/golden/data/tiny";

class BrokenCheckpoint : public ::testing::Test {
 protected:
  struct Tensor {
    DType dtype;
    std::vector<int64_t> shape;
    std::vector<std::byte> bytes;
  };
  using Tensors = std::map<std::string, Tensor>;

  void SetUp() override {
    const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
    directory_ = fs::path(::testing::TempDir()) /
                 ("automot_checkpoint_" + std::to_string(getpid()) + "_" + info->name());
    fs::remove_all(directory_);
    fs::create_directories(directory_);
    for (const auto& entry : fs::directory_iterator(kTiny)) {
      if (entry.path().extension() == ".json") fs::copy(entry.path(), directory_);
    }
    auto file = SafetensorsFile::Open(std::string(kTiny) + "/model.safetensors");
    ASSERT_TRUE(file.ok()) << file.status();
    for (const TensorView& t : (*file)->tensors()) {
      tensors_[t.name] = {t.dtype, t.shape, {t.bytes.begin(), t.bytes.end()}};
    }
  }
  void TearDown() override { fs::remove_all(directory_); }

  void Write(const std::string& name, const std::function<bool(const std::string&)>& keep) {
    SafetensorsWriter writer;
    for (const auto& [tensor, t] : tensors_) {
      if (!keep(tensor)) continue;
      ASSERT_TRUE(writer.Add(tensor, t.dtype, t.shape, t.bytes).ok());
    }
    const absl::Status status = writer.Write(directory_ / name);
    ASSERT_TRUE(status.ok()) << status;
  }
  void WriteAll() {
    Write("model.safetensors", [](const std::string&) { return true; });
  }
  void Rename(const std::string& prefix, const std::string& replacement) {
    Tensors renamed;
    for (auto& [name, tensor] : tensors_) {
      const bool hit = name.rfind(prefix, 0) == 0;
      renamed[hit ? replacement + name.substr(prefix.size()) : name] = std::move(tensor);
    }
    tensors_ = std::move(renamed);
  }
  void EditJson(const std::string& name, const std::function<void(nlohmann::json&)>& edit) {
    std::ifstream in(directory_ / name);
    nlohmann::json document = nlohmann::json::parse(in);
    edit(document);
    std::ofstream(directory_ / name) << document.dump(1);
  }
  absl::StatusOr<std::shared_ptr<const Checkpoint>> Open(CheckpointOptions options = {}) {
    return Checkpoint::Open(directory_, options);
  }
  std::string OpenError() {
    auto checkpoint = Open();
    EXPECT_FALSE(checkpoint.ok());
    return std::string(checkpoint.status().message());
  }

  fs::path directory_;
  Tensors tensors_;
};

// Splits the tensors over two files by the parity of the name's length.
class ShardedCheckpoint : public BrokenCheckpoint {
 protected:
  static std::string ShardOf(const std::string& name) {
    return name.size() % 2 == 0 ? "model-00001-of-00002.safetensors"
                                : "model-00002-of-00002.safetensors";
  }
  void WriteShards(const std::function<void(nlohmann::json&)>& edit = [](nlohmann::json&) {}) {
    nlohmann::json index;
    for (const auto& [name, tensor] : tensors_) index["weight_map"][name] = ShardOf(name);
    for (const std::string& shard : {ShardOf("ab"), ShardOf("a")}) {
      Write(shard, [&](const std::string& name) { return ShardOf(name) == shard; });
    }
    edit(index["weight_map"]);
    std::ofstream(directory_ / "model.safetensors.index.json") << index.dump();
  }
};

inline std::string TinyRevision() {
  auto checkpoint = Checkpoint::Open(kTiny);
  return checkpoint.ok() ? std::string((*checkpoint)->revision()) : checkpoint.status().ToString();
}

}  // namespace automot::model
