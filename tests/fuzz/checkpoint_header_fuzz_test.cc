// Mutates valid and hostile safetensors headers with a fixed generator. Whatever the bytes, the
// parser must either refuse them or give entries that tile the data section exactly; sanitizer
// builds look for the rest.
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "common/checkpoint/safetensors_header.h"

namespace automot::model {
namespace {

constexpr uint64_t kDataBytes = 24;
constexpr int kRounds = 60'000;

const std::vector<std::string>& Corpus() {
  static const auto* corpus = new std::vector<std::string>{
      R"({"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},"b":{"dtype":"I64","shape":[],"data_offsets":[16,24]}})",
      R"({"__metadata__":{"format":"pt"},"x":{"dtype":"BF16","shape":[3,4],"data_offsets":[0,24]}}   )",
      R"({"x":{"dtype":"U8","shape":[24],"data_offsets":[0,24]},"y":{"dtype":"F64","shape":[0],"data_offsets":[24,24]}})",
      R"({"x":{"dtype":"F16","shape":[4294967296,4294967296],"data_offsets":[0,18446744073709551615]}})",
      R"({"\u0000":{"dtype":"BOOL","shape":[1,1,1,1,1,1,1,24],"data_offsets":[0,24]}})",
  };
  return *corpus;
}

// Pieces of the format, so that mutations get past the lexer often enough.
const std::vector<std::string>& Tokens() {
  static const auto* tokens = new std::vector<std::string>{"{",
                                                           "}",
                                                           "[",
                                                           "]",
                                                           ",",
                                                           ":",
                                                           "\"",
                                                           "\"shape\"",
                                                           "\"dtype\"",
                                                           "\"data_offsets\"",
                                                           "\"F32\"",
                                                           "\"I8\"",
                                                           "0",
                                                           "-1",
                                                           "24",
                                                           "9223372036854775807",
                                                           "18446744073709551616",
                                                           "1e9",
                                                           "null",
                                                           "true",
                                                           "\"a\"",
                                                           "\\u0000",
                                                           "\xFF",
                                                           "{}",
                                                           "[]"};
  return *tokens;
}

class Mutator {
 public:
  explicit Mutator(uint64_t seed) : generator_(seed) {}

  std::string Next() {
    std::string text = Corpus()[Below(Corpus().size())];
    for (size_t n = Below(6); n > 0; --n) Mutate(text);
    return text;
  }

 private:
  size_t Below(size_t limit) { return static_cast<size_t>(generator_() % limit); }
  void Mutate(std::string& text) {
    const size_t at = Below(text.size() + 1);
    const std::string& token = Tokens()[Below(Tokens().size())];
    switch (Below(5)) {
      case 0:
        text.insert(at, token);
        break;
      case 1:
        text.erase(at, Below(8));
        break;
      case 2:
        text.replace(at, Below(4), token);
        break;
      case 3:
        text.insert(at, text.substr(Below(text.size() + 1), Below(40)));
        break;
      default:
        if (at < text.size()) text[at] = static_cast<char>(Below(256));
    }
  }

  std::mt19937_64 generator_;
};

void ExpectExactTiling(const SafetensorsHeader& header, const std::string& json) {
  uint64_t position = 0;
  for (const HeaderEntry& entry : header.entries) {
    ASSERT_EQ(entry.begin, position) << json;
    ASSERT_LE(entry.shape.size(), kMaxRank) << json;
    const auto bytes = TensorBytes(entry.dtype, entry.shape);
    ASSERT_TRUE(bytes.ok()) << json;
    ASSERT_EQ(entry.end - entry.begin, *bytes) << json;
    position = entry.end;
  }
  ASSERT_EQ(position, kDataBytes) << json;
}

TEST(CheckpointHeaderFuzz, MutatedHeadersAreRefusedOrTileTheDataExactly) {
  Mutator mutator(20240229);
  int accepted = 0, refused = 0;
  for (int round = 0; round < kRounds; ++round) {
    const std::string json = mutator.Next();
    const auto header = ParseSafetensorsHeader(json, kDataBytes);
    if (!header.ok()) {
      ++refused;
      ASSERT_FALSE(header.status().message().empty()) << json;
      continue;
    }
    ++accepted;
    ExpectExactTiling(*header, json);
    if (HasFatalFailure()) return;
  }
  // Both outcomes must be common, or the mutations no longer probe anything.
  EXPECT_GT(accepted, kRounds / 100);
  EXPECT_GT(refused, kRounds / 10);
}

}  // namespace
}  // namespace automot::model
