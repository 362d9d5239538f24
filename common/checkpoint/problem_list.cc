#include "common/checkpoint/problem_list.h"

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_join.h"
#include "common/checkpoint/text.h"

namespace automot::model {

void ProblemList::Add(std::string problem) {
  ++count_;
  if (listed_.size() < kMaxListed) listed_.push_back(std::move(problem));
}

absl::Status ProblemList::ToStatus(std::string_view subject, std::string_view noun) const {
  if (count_ == 0) return absl::OkStatus();
  std::string text =
      Concat(subject, ": ", count_, " ", noun, "(s):\n  ", absl::StrJoin(listed_, "\n  "));
  if (count_ > listed_.size()) Append(&text, "\n  and ", count_ - listed_.size(), " more");
  return absl::InvalidArgumentError(text);
}

std::string ShownName(std::string_view name) { return absl::CEscape(ToAbsl(name.substr(0, 200))); }

}  // namespace automot::model
