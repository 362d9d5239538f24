#include "common/recording/record_folder.h"

#include <gmock/gmock.h>

#include "tests/unit/common/recording/recording_fixture.h"

namespace automot::recording {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class RecordFolderTest : public RecordingFolderTest {
 protected:
  RecordFolderWriter Create(const RecordFolderWriter::Options& options) {
    auto writer = RecordFolderWriter::Create(
        folder_, options, [](uint32_t number) { return "file " + std::to_string(number); });
    EXPECT_TRUE(writer.ok()) << writer.status();
    return *std::move(writer);
  }
};

TEST_F(RecordFolderTest, GoesOnToTheNextFileAtItsSize) {
  RecordFolderWriter writer = Create({.file_bytes = 100});
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(writer.RotateWhereFull().ok());
    ASSERT_TRUE(writer.Append(std::string(80, 'x')).ok());
  }
  ASSERT_TRUE(writer.Flush().ok());
  const auto files = RecordingFiles(folder_);
  ASSERT_TRUE(files.ok()) << files.status();
  ASSERT_THAT(*files, SizeIs(3));
  for (int i = 0; i < 3; ++i) {
    EXPECT_THAT(ReadAll((*files)[i]).records,
                ElementsAre("file " + std::to_string(i + 1), std::string(80, 'x')));
  }
}

TEST_F(RecordFolderTest, WhatIsAboveTheBudgetIsRefusedAndNothingOfItWritten) {
  RecordFolderWriter writer = Create({.total_bytes = 200});
  ASSERT_TRUE(writer.Append(std::string(100, 'x')).ok());
  EXPECT_EQ(writer.Append(std::string(100, 'x')).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(writer.Append("small").ok());
  ASSERT_TRUE(writer.Flush().ok());
  EXPECT_LE(std::filesystem::file_size(writer.run_folder() + "/0001.rec"), 200U);
  EXPECT_EQ(writer.bytes(), std::filesystem::file_size(writer.run_folder() + "/0001.rec"));
}

TEST_F(RecordFolderTest, EachStartHasItsOwnRunAndAFolderOfSeveralNamesThem) {
  EXPECT_EQ(RecordingFiles(folder_).status().code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(Create({}).Flush().ok());
  EXPECT_TRUE(RecordingFiles(folder_).ok());
  RecordFolderWriter second = Create({});
  ASSERT_TRUE(second.Flush().ok());
  const auto several = RecordingFiles(folder_);
  EXPECT_EQ(several.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(several.status().message()), HasSubstr("run-0002"));
  EXPECT_THAT(*RecordingFiles(second.run_folder()), SizeIs(1));
  EXPECT_THAT(*RecordingFiles(second.run_folder() + "/0001.rec"), SizeIs(1));
}

TEST_F(RecordFolderTest, AFolderThatCannotBeMadeIsNamed) {
  WriteFile(Path("file"), "");
  const auto writer =
      RecordFolderWriter::Create(Path("file") + "/below", {}, [](uint32_t) { return ""; });
  EXPECT_THAT(std::string(writer.status().message()), HasSubstr("/file/below"));
}

}  // namespace
}  // namespace automot::recording
