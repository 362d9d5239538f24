#include "common/recording/record_file.h"

#include <gmock/gmock.h>

#include <cstring>
#include <random>

#include "tests/unit/common/recording/recording_fixture.h"

namespace automot::recording {
namespace {

using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using Outcome = RecordFileReader::Outcome;

const std::vector<std::string>& Some() {
  static const std::vector<std::string> records = {"first", "", std::string(100'000, 'x'), "last"};
  return records;
}

using RecordFileTest = RecordingFolderTest;

TEST_F(RecordFileTest, GivesBackWhatWasWritten) {
  const ReadRecords read = ReadAll(Written("a.rec", Some()));
  EXPECT_THAT(read.records, ElementsAreArray(Some()));
  EXPECT_EQ(read.end, Outcome::kEnd);
}

TEST_F(RecordFileTest, AFileOfThatNameIsNeverOverwritten) {
  Written("a.rec", Some());
  EXPECT_EQ(RecordFileWriter::Create(Path("a.rec")).status().code(),
            absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(ReadAll(Path("a.rec")).records, ElementsAreArray(Some()));
}

TEST_F(RecordFileTest, WhereverTheTailIsCutEverythingBeforeItIsReadable) {
  const std::string path = Written("a.rec", {"one", "two", "three"});
  const std::string bytes = ReadFile(path);
  for (size_t size = kFileMagicBytes; size < bytes.size(); ++size) {
    WriteFile(path, bytes.substr(0, size));
    const ReadRecords read = ReadAll(path);
    const size_t whole = (size - kFileMagicBytes) >= StoredBytes(3) + StoredBytes(3) ? 2
                         : (size - kFileMagicBytes) >= StoredBytes(3)                ? 1
                                                                                     : 0;
    EXPECT_EQ(read.records.size(), whole) << size;
    const bool between = size == kFileMagicBytes || size == kFileMagicBytes + StoredBytes(3) ||
                         size == kFileMagicBytes + 2 * StoredBytes(3);
    EXPECT_EQ(read.end, between ? Outcome::kEnd : Outcome::kCut) << size;
  }
}

TEST_F(RecordFileTest, AFlippedBitIsDamageOrACutAndNeverOtherBytes) {
  const std::string path = Written("a.rec", {"one", "two"});
  const std::string bytes = ReadFile(path);
  for (size_t at = kFileMagicBytes; at < bytes.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string damaged = bytes;
      damaged[at] = static_cast<char>(damaged[at] ^ (1 << bit));
      WriteFile(path, damaged);
      const ReadRecords read = ReadAll(path);
      const bool in_second = at >= kFileMagicBytes + StoredBytes(3);
      EXPECT_EQ(read.end, Outcome::kDamaged) << at;
      EXPECT_EQ(read.records.size(), in_second ? 1U : 0U) << at;
    }
  }
}

TEST_F(RecordFileTest, ALengthIsNeverTrusted) {
  const std::string path = Written("a.rec", {"one"});
  std::string bytes = ReadFile(path);
  for (const uint32_t length : {4U, 0x7fffffffU, 0xffffffffU}) {
    const uint32_t complement = ~length;
    std::memcpy(bytes.data() + kFileMagicBytes, &length, sizeof(length));
    std::memcpy(bytes.data() + kFileMagicBytes + 4, &complement, sizeof(complement));
    WriteFile(path, bytes);
    const ReadRecords read = ReadAll(path);
    EXPECT_TRUE(read.records.empty());
    EXPECT_EQ(read.end, length > kMaxRecordBytes ? Outcome::kDamaged : Outcome::kCut);
  }
}

TEST_F(RecordFileTest, RandomBytesAreReadWithoutHarm) {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    std::string bytes = "AMTREC01";
    for (int i = 0; i < 200; ++i) bytes.push_back(static_cast<char>(random()));
    WriteFile(Path("a.rec"), bytes);
    EXPECT_NE(ReadAll(Path("a.rec")).end, Outcome::kEnd);
  }
}

TEST_F(RecordFileTest, OtherFilesAreRefusedByName) {
  WriteFile(Path("a.rec"), "something else");
  const auto reader = RecordFileReader::Open(Path("a.rec"));
  EXPECT_EQ(reader.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(reader.status().message()), HasSubstr("a.rec"));
  EXPECT_EQ(RecordFileReader::Open(Path("none.rec")).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(RecordFileTest, ARecordIsFoundAgainByItsOffset) {
  auto reader = RecordFileReader::Open(Written("a.rec", Some()));
  ASSERT_TRUE(reader.ok());
  std::vector<uint64_t> offsets;
  std::string record;
  do {
    offsets.push_back(reader->offset());
  } while (reader->Next(&record) == Outcome::kRecord);
  for (size_t i = Some().size(); i-- > 0;) {
    ASSERT_TRUE(reader->Seek(offsets[i]).ok());
    ASSERT_EQ(reader->Next(&record), Outcome::kRecord);
    EXPECT_EQ(record, Some()[i]);
  }
}

}  // namespace
}  // namespace automot::recording
