#include "tools/train/loss_log.h"

#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace automot::train {

LossLog::LossLog(const std::string& path, int64_t first_step) : path_(path) {
  std::string kept, line;
  std::ifstream old(path);
  if (first_step > 0 && std::getline(old, header_)) {
    absl::StrAppend(&kept, header_, "\n");
    while (std::getline(old, line)) {
      if (std::atoll(line.c_str()) < first_step) absl::StrAppend(&kept, line, "\n");
    }
  }
  old.close();
  file_.open(path, std::ios::trunc);
  file_ << kept;
}

absl::Status LossLog::Add(int64_t step, const std::string& split,
                          const std::vector<std::pair<std::string, double>>& values) {
  std::string header = "step,split", line = absl::StrCat(step, ",", split);
  for (const auto& [name, value] : values) {
    absl::StrAppend(&header, ",", name);
    absl::StrAppend(&line, absl::StrFormat(",%.9g", value));
  }
  if (header_.empty()) {
    header_ = header;
    file_ << header << "\n";
  }
  if (header != header_) {
    return absl::InvalidArgumentError(absl::StrCat(path_, ": its columns are ", header_));
  }
  file_ << line << std::endl;
  if (!file_) return absl::UnavailableError(absl::StrCat(path_, ": cannot write"));
  return absl::OkStatus();
}

}  // namespace automot::train
