#include "services/planning/scheduling/fair_shares.h"

#include <algorithm>

namespace automot::planning {

void FairShares::Note(Account& account, absl::Duration now) {
  absl::Duration rest;
  const int64_t window = absl::IDivDuration(now, kWindow, &rest);
  if (window != window_) {
    asked_before_ = window == window_ + 1 ? asked_ : 0;
    asked_ = 0;
    window_ = window;
  }
  if (account.window == window) return;
  account.window = window;
  ++asked_;
}

int64_t FairShares::active() const { return std::max<int64_t>(1, std::max(asked_, asked_before_)); }

int64_t FairShares::Share(int64_t fitting) const {
  return std::max<int64_t>(1, fitting / active());
}

bool FairShares::Allows(const Account& account, int64_t waiting, int64_t fitting) const {
  if (active() == 1 || 2 * waiting < fitting) return true;
  return account.waiting.load(std::memory_order_relaxed) < Share(fitting);
}

}  // namespace automot::planning
