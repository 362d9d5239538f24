// All that is wrong with one thing, as one error.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace automot::model {

// Counts every problem, keeps the text of the first 10,000: more than any supported geometry has
// tensors, while a hostile file may hold a million. Not thread-safe.
class ProblemList {
 public:
  static constexpr size_t kMaxListed = 10'000;

  void Add(std::string problem);
  // OK without problems, else INVALID_ARGUMENT: "<subject>: <count> <noun>(s):" and one line each.
  absl::Status ToStatus(std::string_view subject, std::string_view noun) const;

 private:
  std::vector<std::string> listed_;
  size_t count_ = 0;
};

// A name out of a file, for a message: control characters escaped, 200 bytes at most.
std::string ShownName(std::string_view name);

}  // namespace automot::model
