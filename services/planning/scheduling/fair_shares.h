// Who may fill how much of a full queue: equal parts for those who have asked lately.
//
// Below half of what fits, nobody is held back. From there on an account (a client, or one of its
// vehicles) that has its share waiting is refused, so that the rest stays open to the others: the
// max-min share of equals. The planning thread is busy whenever anything waits, so it is never idle
// for the sake of fairness.
//
// Not thread-safe, but for Account::waiting.
#pragma once

#include <atomic>
#include <cstdint>

#include "absl/time/time.h"

namespace automot::planning {

class FairShares {
 public:
  static constexpr absl::Duration kWindow = absl::Milliseconds(500);

  struct Account {
    std::atomic<uint32_t> waiting{0};  // accepted plans that have not begun
    int64_t window = -1;               // in which it asked last
  };

  // `account` asks at `now`.
  void Note(Account& account, absl::Duration now);
  // Accounts that asked in this window or the one before.
  int64_t active() const;
  // Whether `account` may have one more waiting, where `waiting` of all are and `fitting` would
  // fit.
  bool Allows(const Account& account, int64_t waiting, int64_t fitting) const;
  // Of `fitting`, at least 1.
  int64_t Share(int64_t fitting) const;

 private:
  int64_t window_ = -1;
  int64_t asked_ = 0;         // accounts in this window
  int64_t asked_before_ = 0;  // in the one before
};

}  // namespace automot::planning
