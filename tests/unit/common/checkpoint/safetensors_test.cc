#include "common/checkpoint/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "common/checkpoint/content_hash.h"
#include "common/checkpoint/safetensors_header.h"

namespace automot::model {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Safetensors : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
    directory_ = fs::path(::testing::TempDir()) /
                 ("automot_safetensors_" + std::to_string(getpid()) + "_" + info->name());
    fs::create_directories(directory_);
    path_ = directory_ / "x.safetensors";
  }
  void TearDown() override { fs::remove_all(directory_); }

  void WriteRaw(uint64_t header_length, const std::string& rest) {
    std::ofstream out(path_, std::ios::binary);
    out.write(reinterpret_cast<const char*>(&header_length), 8);
    out << rest;
  }
  std::string OpenError() {
    auto file = SafetensorsFile::Open(path_);
    EXPECT_EQ(file.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(file.status().message());
  }

  fs::path directory_;
  std::string path_;
};

TEST_F(Safetensors, ReadsBackWhatItWrote) {
  const std::vector<float> a = {1, 2, 3, 4, 5, 6};
  const std::vector<int64_t> b = {7};
  const std::vector<uint8_t> c = {8, 9, 10};
  SafetensorsWriter writer;
  ASSERT_TRUE(writer.AddValues<uint8_t>("c", DType::kU8, {3}, c).ok());
  ASSERT_TRUE(writer.AddValues<float>("a", DType::kF32, {2, 3}, a).ok());
  ASSERT_TRUE(writer.AddValues<int64_t>("b", DType::kI64, {}, b).ok());
  ASSERT_TRUE(writer.Add("empty", DType::kF32, {0, 5}, {}).ok());
  writer.SetMetadata("format", "pt");
  ASSERT_TRUE(writer.Write(path_).ok());
  auto file = SafetensorsFile::Open(path_);
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_EQ((*file)->tensors().size(), 4u);
  EXPECT_EQ((*file)->metadata().at("format"), "pt");
  const TensorView* view = (*file)->Find("a");
  ASSERT_NE(view, nullptr);
  EXPECT_THAT(view->shape, ElementsAre(2, 3));
  EXPECT_EQ(std::memcmp(view->bytes.data(), a.data(), 24), 0);
  EXPECT_TRUE((*file)->Find("b")->shape.empty());
  EXPECT_TRUE((*file)->Find("empty")->bytes.empty());
  EXPECT_EQ((*file)->Find("d"), nullptr);
}

TEST_F(Safetensors, AlignsEachTensorToItsElementSize) {
  const std::vector<uint8_t> odd = {1, 2, 3};
  const std::vector<int64_t> wide = {4, 5};
  SafetensorsWriter writer;
  ASSERT_TRUE(writer.AddValues<uint8_t>("a_odd", DType::kU8, {3}, odd).ok());
  ASSERT_TRUE(writer.AddValues<int64_t>("z_wide", DType::kI64, {2}, wide).ok());
  ASSERT_TRUE(writer.Write(path_).ok());
  auto file = SafetensorsFile::Open(path_);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(reinterpret_cast<uintptr_t>((*file)->Find("z_wide")->bytes.data()) % 8, 0u);
}

TEST_F(Safetensors, ADeferredTensorIsFilledPieceByPieceAtWriting) {
  constexpr size_t kBytes = SafetensorsWriter::kPieceBytes + 16;
  std::vector<size_t> pieces;
  SafetensorsWriter writer;
  ASSERT_TRUE(writer
                  .AddDeferred("a", DType::kU8, {kBytes},
                               [&]() -> SafetensorsWriter::Fill {
                                 return [&](absl::Span<std::byte> piece) {
                                   EXPECT_EQ(piece[0], std::byte{0});
                                   pieces.push_back(piece.size());
                                   piece[1] = static_cast<std::byte>(pieces.size());
                                 };
                               })
                  .ok());
  TensorHashes hashes;
  ASSERT_TRUE(writer.Write(path_, &hashes).ok());
  EXPECT_THAT(pieces, ElementsAre(SafetensorsWriter::kPieceBytes, 16));
  auto file = SafetensorsFile::Open(path_);
  ASSERT_TRUE(file.ok()) << file.status();
  const auto bytes = (*file)->Find("a")->bytes;
  EXPECT_EQ(bytes[1], std::byte{1});
  EXPECT_EQ(bytes[SafetensorsWriter::kPieceBytes + 1], std::byte{2});
  EXPECT_EQ(hashes.at("a"), HashHex(bytes));
}

// Pages of mapped files that this process holds.
size_t MappedBytes() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    if (word != "RssFile:") continue;
    size_t kilobytes = 0;
    status >> kilobytes;
    return kilobytes << 10;
  }
  return 0;
}

TEST_F(Safetensors, AWalkSeesEveryByteAndHoldsFewPagesOfTheFile) {
  const size_t size = 12 * SafetensorsFile::kPieceBytes + 5;
  std::vector<uint8_t> values(size);
  for (size_t i = 0; i < size; ++i) values[i] = static_cast<uint8_t>(i * 2654435761U >> 24);
  SafetensorsWriter writer;
  ASSERT_TRUE(
      writer.AddValues<uint8_t>("a", DType::kU8, {static_cast<int64_t>(size)}, values).ok());
  ASSERT_TRUE(writer.Write(path_).ok());
  auto file = SafetensorsFile::Open(path_);
  ASSERT_TRUE(file.ok()) << file.status();
  const auto bytes = (*file)->Find("a")->bytes;
  const size_t before = MappedBytes();
  size_t most = before, seen = 0;
  (*file)->Stream(bytes, [&](absl::Span<const std::byte> piece) {
    ASSERT_EQ(std::memcmp(piece.data(), values.data() + seen, piece.size()), 0);
    seen += piece.size();
    most = std::max(most, MappedBytes());
  });
  EXPECT_EQ(seen, size);
  EXPECT_LT(most - before, 3 * SafetensorsFile::kPieceBytes);
  // The bytes stay readable, and reading them all does hold the file: the measure can tell.
  EXPECT_EQ(std::memcmp(bytes.data(), values.data(), size), 0);
  EXPECT_GT(MappedBytes() - before, 10 * SafetensorsFile::kPieceBytes);
}

TEST_F(Safetensors, KnowsWhichBytesItHolds) {
  const std::vector<uint8_t> values = {1, 2, 3};
  SafetensorsWriter writer;
  ASSERT_TRUE(writer.AddValues<uint8_t>("a", DType::kU8, {3}, values).ok());
  ASSERT_TRUE(writer.Write(path_).ok());
  auto file = SafetensorsFile::Open(path_);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_TRUE((*file)->Holds((*file)->Find("a")->bytes));
  EXPECT_FALSE((*file)->Holds(
      absl::MakeConstSpan(reinterpret_cast<const std::byte*>(values.data()), values.size())));
}

TEST_F(Safetensors, AFailedWriteLeavesTheOldFile) {
  SafetensorsWriter writer;
  const std::string missing = directory_ / "no" / "such" / "x.safetensors";
  EXPECT_THAT(writer.Write(missing).message(), HasSubstr(missing));
  ASSERT_TRUE(writer.Write(path_).ok());
  EXPECT_EQ(std::distance(fs::directory_iterator(directory_), fs::directory_iterator()), 1);
}

TEST_F(Safetensors, TheWriterRefusesWhatDoesNotFit) {
  const std::vector<float> values = {1, 2};
  SafetensorsWriter writer;
  EXPECT_THAT(writer.AddValues<float>("a", DType::kF32, {3}, values).message(),
              HasSubstr("8 bytes given, F32 [3] needs 12"));
  EXPECT_FALSE(writer.AddValues<float>("a", DType::kF32, {-2}, values).ok());
  EXPECT_FALSE(writer.AddValues<float>("", DType::kF32, {2}, values).ok());
  EXPECT_FALSE(writer.AddValues<float>("a", DType::kF32, std::vector<int64_t>(9, 1), values).ok());
  ASSERT_TRUE(writer.AddValues<float>("a", DType::kF32, {2}, values).ok());
  EXPECT_THAT(writer.AddValues<float>("a", DType::kF32, {2}, values).message(),
              HasSubstr("added twice"));
}

TEST_F(Safetensors, RefusesAPipeWithoutWaitingForItsWriter) {
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  EXPECT_THAT(OpenError(), HasSubstr("not a regular file"));
}

TEST_F(Safetensors, RefusesFilesThatAreTooShortForTheirHeader) {
  std::ofstream(path_) << "1234567";
  EXPECT_THAT(OpenError(), HasSubstr("7 bytes, fewer than the 8"));
  WriteRaw(100, "{}");
  EXPECT_THAT(OpenError(), HasSubstr("length 100 exceeds the limit of 2"));
  WriteRaw(~uint64_t{0}, "{}");
  EXPECT_THAT(OpenError(), HasSubstr("length 18446744073709551615 exceeds"));
  WriteRaw(kMaxHeaderBytes + 1, "{}");
  fs::resize_file(path_, 300'000'000);  // sparse: long enough, still above the limit
  EXPECT_THAT(OpenError(), HasSubstr("length 100000001 exceeds the limit of 100000000"));
}

TEST_F(Safetensors, RefusesATruncatedDataSection) {
  const std::vector<float> values(100);
  SafetensorsWriter writer;
  ASSERT_TRUE(writer.AddValues<float>("a", DType::kF32, {100}, values).ok());
  ASSERT_TRUE(writer.Write(path_).ok());
  fs::resize_file(path_, fs::file_size(path_) - 1);
  EXPECT_THAT(OpenError(),
              HasSubstr("\"a\": data_offsets [0, 400] leave the data section of 399 bytes"));
  fs::resize_file(path_, fs::file_size(path_) + 9);
  EXPECT_THAT(OpenError(), HasSubstr("tensors cover 400 of 408 data bytes"));
}

TEST_F(Safetensors, RefusesADirectoryAndAMissingFile) {
  EXPECT_FALSE(SafetensorsFile::Open(directory_).ok());
  EXPECT_EQ(SafetensorsFile::Open(path_).status().code(), absl::StatusCode::kNotFound);
}

struct BadHeader {
  const char* json;
  const char* message;
};
void PrintTo(const BadHeader& bad, std::ostream* out) { *out << bad.message; }

class HostileHeader : public ::testing::TestWithParam<BadHeader> {};

TEST_P(HostileHeader, IsRefusedWithItsReason) {
  const auto header = ParseSafetensorsHeader(GetParam().json, 8);
  ASSERT_FALSE(header.ok());
  EXPECT_THAT(header.status().message(), HasSubstr(GetParam().message));
}

#define TENSOR(fields) R"({"t":{)" fields R"(}})"
INSTANTIATE_TEST_SUITE_P(
    Headers, HostileHeader,
    ::testing::Values(
        BadHeader{"", "does not begin with"}, BadHeader{" {}", "does not begin with"},
        BadHeader{"{", "not valid JSON"}, BadHeader{"{}{}", "not valid JSON"},
        BadHeader{"{\"\xFF\":{}}", "not valid JSON"}, BadHeader{"{}", "tensors cover 0 of 8"},
        BadHeader{"{\"t\":{\"t\":{\"t\":{}}}}", "unknown field"},
        BadHeader{"{\"t\":[1]}", "unexpected list"}, BadHeader{"{\"t\":1}", "unexpected number 1"},
        BadHeader{"{\"t\":null}", "null is not"}, BadHeader{"{\"t\":true}", "boolean is not"},
        BadHeader{"{\"__metadata__\":{\"a\":1}}", "unexpected number"},
        BadHeader{TENSOR(R"("dtype":"F32")"), "needs dtype, shape and data_offsets"},
        BadHeader{TENSOR(R"("dtype":"F8","shape":[2],"data_offsets":[0,8])"),
                  "unknown dtype \"F8\""},
        BadHeader{TENSOR(R"("dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1)"),
                  "unknown field"},
        BadHeader{TENSOR(R"("dtype":"F32","shape":[2],"shape":[2],"data_offsets":[0,8])"),
                  "field appears twice"},
        BadHeader{TENSOR(R"("dtype":"F32","shape":[2],"data_offsets":[0])"),
                  "data_offsets has 1 numbers"},
        BadHeader{TENSOR(R"("dtype":"F32","shape":[2],"data_offsets":[0,8,8])"),
                  "data_offsets has 3 numbers"},
        BadHeader{TENSOR(R"("dtype":"F32","shape":[-2],"data_offsets":[0,8])"),
                  "number -2 is negative"},
        BadHeader{TENSOR(R"("dtype":"F32","shape":[2.5],"data_offsets":[0,8])"), "not an unsigned"},
        BadHeader{TENSOR(R"("dtype":"F32","shape":[[2]],"data_offsets":[0,8])"), "unexpected list"},
        BadHeader{TENSOR(R"("dtype":"F32","shape":[{}],"data_offsets":[0,8])"), "nested deeper"},
        BadHeader{TENSOR(R"("dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,8])"),
                  "exceeds the limit of 2^63-1"},
        BadHeader{TENSOR(R"("dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,8])"),
                  "not an unsigned"},
        BadHeader{TENSOR(R"("dtype":"F32","shape":[1,1,1,1,1,1,1,1,2],"data_offsets":[0,8])"),
                  "more than 8 numbers"},
        BadHeader{TENSOR(R"("dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8])"),
                  "exceeds the limit of 2^64-1"},
        BadHeader{TENSOR(R"("dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8])"),
                  "exceeds the limit of 2^64-1"},
        BadHeader{TENSOR(R"("dtype":"F32","shape":[3],"data_offsets":[0,8])"),
                  "hold 8 bytes, but F32 [3] needs 12"},
        BadHeader{TENSOR(R"("dtype":"F32","shape":[2],"data_offsets":[8,0])"),
                  "end before they begin"},
        BadHeader{TENSOR(R"("dtype":"F32","shape":[2],"data_offsets":[4,12])"),
                  "leave the data section of 8"},
        BadHeader{TENSOR(R"("dtype":"F32","shape":[1],"data_offsets":[4,8])"),
                  "leave a gap after 0"},
        BadHeader{
            R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
            "tensor \"a\": name appears twice"},
        BadHeader{
            R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
            "tensor \"b\": data_offsets [4, 8] overlap"}));

TEST(HostileHeader, NestingWithoutEndCostsNothing) {
  const std::string json = "{\"t\":{\"shape\":" + std::string(10'000'000, '[');
  EXPECT_THAT(ParseSafetensorsHeader(json, 8).status().message(), HasSubstr("unexpected list"));
}

TEST(HostileHeader, ALongNameIsCutInTheMessage) {
  const std::string json = "{\"" + std::string(100'000, 'n') + "\":{}}";
  const auto status = ParseSafetensorsHeader(json, 8).status();
  EXPECT_THAT(status.message(), HasSubstr("name of 100000 bytes exceeds the limit of 1024"));
  EXPECT_LT(status.message().size(), 1000u);
}

}  // namespace
}  // namespace automot::model
