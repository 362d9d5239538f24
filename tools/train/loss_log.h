// losses.csv: one line per logged step.
#pragma once

#include <cstdint>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"

namespace automot::train {

// Not thread-safe. Columns are those of the first line; a line that is not in the first one's form
// is refused.
class LossLog {
 public:
  // Keeps the lines before `first_step` of a file that is there, and drops the rest.
  explicit LossLog(const std::string& path, int64_t first_step);
  // split: "train" or "validation".
  absl::Status Add(int64_t step, const std::string& split,
                   const std::vector<std::pair<std::string, double>>& values);

 private:
  const std::string path_;
  std::string header_;
  std::ofstream file_;
};

}  // namespace automot::train
