// Runs a fuzz target on its corpus, and on copies changed by a fixed generator: what was found once
// stays found, on any compiler. The search for new inputs is libFuzzer's (README.md).
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

// Read by the address sanitizer: a small input that asks for much memory is a finding.
extern "C" const char* __asan_default_options() { return "max_allocation_size_mb=512"; }

namespace automot::fuzz {
namespace {

std::vector<std::string> Corpus() {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(AUTOMOT_FUZZ_CORPUS)) {
    paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  std::vector<std::string> inputs;
  for (const auto& path : paths) {
    std::ifstream in(path, std::ios::binary);
    inputs.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  }
  return inputs;
}

// A copy without slack, so that a sanitizer sees a read beyond the end.
void Replay(const std::string& input) {
  const std::vector<uint8_t> bytes(input.begin(), input.end());
  EXPECT_EQ(LLVMFuzzerTestOneInput(bytes.data(), bytes.size()), 0);
}

class Mutator {
 public:
  Mutator(uint64_t seed, const std::vector<std::string>& corpus)
      : generator_(seed), corpus_(corpus) {}

  std::string Next() {
    std::string text = corpus_[Below(corpus_.size())];
    for (size_t n = 1 + Below(4); n > 0; --n) Change(text);
    return text;
  }

 private:
  size_t Below(size_t limit) { return static_cast<size_t>(generator_() % limit); }
  void Change(std::string& text) {
    const size_t at = Below(text.size() + 1);
    const std::string& other = corpus_[Below(corpus_.size())];
    switch (Below(5)) {
      case 0:
        text.resize(at);
        break;
      case 1:
        text.erase(at, 1 + Below(16));
        break;
      case 2:
        text.insert(at, text.substr(Below(text.size() + 1), Below(64)));
        break;
      case 3:
        text.insert(at, other.substr(Below(other.size() + 1), Below(64)));
        break;
      default:
        if (at < text.size()) text[at] = static_cast<char>(text[at] ^ (1 << Below(8)));
    }
  }

  std::mt19937_64 generator_;
  const std::vector<std::string>& corpus_;
};

int Rounds() {
  const char* value = std::getenv("AUTOMOT_LONG_TESTS");
  return value != nullptr && std::string(value) == "1" ? 20'000 : 1'000;
}

TEST(FuzzReplay, TheCorpusIsHandled) {
  const std::vector<std::string> corpus = Corpus();
  ASSERT_GE(corpus.size(), 3U) << AUTOMOT_FUZZ_CORPUS;
  for (const std::string& input : corpus) Replay(input);
  Replay("");
}

TEST(FuzzReplay, ChangedInputsAreHandled) {
  const std::vector<std::string> corpus = Corpus();
  ASSERT_FALSE(corpus.empty());
  Mutator mutator(20240229, corpus);
  for (int round = 0; round < Rounds(); ++round) Replay(mutator.Next());
}

}  // namespace
}  // namespace automot::fuzz
