// A folder of the test's own, and files in it.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "common/recording/record_file.h"
#include "tests/support/test_folder.h"

namespace automot::recording {

class RecordingFolderTest : public ::testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(folder_); }

  std::string Path(const std::string& name) const { return folder_ / name; }

  // Writes records to a new file of that name.
  std::string Written(const std::string& name, const std::vector<std::string>& records) {
    auto writer = RecordFileWriter::Create(Path(name));
    EXPECT_TRUE(writer.ok()) << writer.status();
    for (const std::string& record : records) EXPECT_TRUE(writer->Append(record).ok());
    EXPECT_TRUE(writer->Flush().ok());
    return Path(name);
  }

  static std::string ReadFile(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }
  static void WriteFile(const std::string& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
  }

  const support::TestFolder test_folder_;
  const std::filesystem::path folder_ = test_folder_.path();
};

// What a file's records are, and how they end.
struct ReadRecords {
  std::vector<std::string> records;
  RecordFileReader::Outcome end = RecordFileReader::Outcome::kEnd;
};
inline ReadRecords ReadAll(const std::string& path) {
  ReadRecords read;
  auto reader = RecordFileReader::Open(path);
  EXPECT_TRUE(reader.ok()) << reader.status();
  if (!reader.ok()) return read;
  std::string record;
  while ((read.end = reader->Next(&record)) == RecordFileReader::Outcome::kRecord) {
    read.records.push_back(record);
  }
  return read;
}

}  // namespace automot::recording
