#include "common/shared_memory/region_loans.h"

#include <sys/socket.h>

#include "absl/strings/str_cat.h"

namespace automot::shared_memory {

RegionLoans::~RegionLoans() { consumer_->CloseAccount(number_); }

void RegionLoans::NotifyOnRoom(std::function<void()> on_room) {
  const std::lock_guard lock(mutex_);
  on_room_ = std::move(on_room);
}

LendOutcome RegionLoans::Lend(const context::SnapshotPtr& snapshot) {
  return consumer_->Lend(number_, snapshot);
}

void RegionLoans::Close() {
  const std::lock_guard lock(mutex_);
  on_room_ = nullptr;
}

std::size_t RegionLoans::snapshot_limit() const { return consumer_->limits().snapshots; }

std::size_t RegionLoans::held() const { return consumer_->held(number_); }

void RegionLoans::Notify() {
  const std::lock_guard lock(mutex_);
  if (on_room_) on_room_();
}

absl::StatusOr<std::shared_ptr<RegionLoans>> RegionConsumer::Open(uint64_t number) {
  const std::lock_guard lock(mutex_);
  if (number == 0 || accounts_.contains(number)) {
    return absl::InvalidArgumentError(
        absl::StrCat("shared_memory_subscription is ", number,
                     "; it must be above 0 and not in use on its connection"));
  }
  if (std::erase(early_ends_, number) > 0) {
    return absl::CancelledError("the consumer has ended the subscription already");
  }
  auto loans = std::make_shared<RegionLoans>(shared_from_this(), number);
  accounts_[number].loans = loans;
  return loans;
}

void RegionConsumer::CloseAccount(uint64_t number) {
  const std::lock_guard lock(mutex_);
  const auto at = accounts_.find(number);
  if (at != accounts_.end() && at->second.held == 0) accounts_.erase(at);
}

std::size_t RegionConsumer::held(uint64_t subscription) const {
  const std::lock_guard lock(mutex_);
  const auto at = accounts_.find(subscription);
  return at == accounts_.end() ? 0 : at->second.held;
}

std::size_t RegionConsumer::held_bytes() const {
  const std::lock_guard lock(mutex_);
  return held_bytes_;
}

LendOutcome RegionConsumer::Lend(uint64_t subscription, const context::SnapshotPtr& snapshot) {
  const std::lock_guard lock(mutex_);
  return ended_ ? LendOutcome::kEnded : TryLend(subscription, snapshot);
}

LendOutcome RegionConsumer::TryLend(uint64_t subscription, const context::SnapshotPtr& snapshot) {
  if (snapshot->kv.place() == nullptr) return LendOutcome::kEnded;
  const context::RegionPlace& place = *snapshot->kv.place();
  Account& account = accounts_[subscription];
  if (account.ended) return LendOutcome::kEnded;
  const std::size_t bytes = place.region->bytes().size();
  const bool room = account.held < limits_.snapshots && bytes <= limits_.consumer_bytes &&
                    held_bytes_ <= limits_.consumer_bytes - bytes;
  const Use use(place.region->number(), place.generation);
  if (!room || loans_.contains(use)) return LendOutcome::kNoRoom;
  ForgetGone();
  const absl::Status introduced = Introduce(place.region);
  // Ended sockets are noticed, and cleaned up after, by the server's thread.
  if (absl::IsUnavailable(introduced)) return LendOutcome::kEnded;
  if (!introduced.ok()) return LendOutcome::kNoRoom;
  loans_[use] = {snapshot, subscription, ++account.lent, bytes};
  ++account.held;
  held_bytes_ += bytes;
  return LendOutcome::kLent;
}

absl::Status RegionConsumer::Introduce(const std::shared_ptr<context::MemoryRegion>& region) {
  if (introduced_.contains(region->number())) return absl::OkStatus();
  const absl::Status sent = Send(socket_.get(),
                                 {.kind = RegionMessageKind::kRegion,
                                  .region = region->number(),
                                  .value = region->bytes().size()},
                                 region->descriptor());
  if (sent.ok()) introduced_[region->number()] = region;
  return sent;
}

// Lets the consumer unmap what the pool has given up. Where it does not read: another time.
void RegionConsumer::ForgetGone() {
  for (auto at = introduced_.begin(); at != introduced_.end();) {
    const bool gone = at->second.expired();
    const RegionMessage message = {.kind = RegionMessageKind::kRegionGone, .region = at->first};
    const bool told = gone && Send(socket_.get(), message).ok();
    at = told ? introduced_.erase(at) : std::next(at);
  }
}

context::SnapshotPtr RegionConsumer::Remove(std::map<Use, Loan>::iterator at) {
  context::SnapshotPtr snapshot = std::move(at->second.snapshot);
  held_bytes_ -= at->second.bytes;
  const auto account = accounts_.find(at->second.subscription);
  if (--account->second.held == 0 && account->second.loans.expired()) accounts_.erase(account);
  loans_.erase(at);
  return snapshot;
}

void RegionConsumer::Release(uint64_t region, uint64_t generation) {
  context::SnapshotPtr released;  // freed outside the lock
  {
    const std::lock_guard lock(mutex_);
    const auto at = loans_.find({region, generation});
    if (at == loans_.end()) return;
    released = Remove(at);
  }
  released.reset();
  NotifyAll();
}

void RegionConsumer::End(uint64_t subscription, uint64_t received) {
  constexpr std::size_t kEarlyEnds = 64;
  std::vector<context::SnapshotPtr> lost;
  {
    const std::lock_guard lock(mutex_);
    const auto account = accounts_.find(subscription);
    if (account == accounts_.end()) {
      // The call that it belongs to may still be on its way, and then must lend nothing.
      if (early_ends_.size() == kEarlyEnds) early_ends_.pop_front();
      early_ends_.push_back(subscription);
      return;
    }
    account->second.ended = true;
    for (auto at = loans_.begin(); at != loans_.end();) {
      const auto next = std::next(at);
      const Loan& loan = at->second;
      if (loan.subscription == subscription && loan.ordinal > received) lost.push_back(Remove(at));
      at = next;
    }
  }
  if (lost.empty()) return;
  lost.clear();
  NotifyAll();
}

void RegionConsumer::Drop() {
  shutdown(socket_.get(), SHUT_RDWR);  // accounts may keep the descriptor open
  std::map<Use, Loan> lost;
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    lost.swap(loans_);
    held_bytes_ = 0;
    for (auto& [number, account] : accounts_) account.held = 0;
  }
  for (const auto& [use, loan] : lost) loan.snapshot->kv.place()->region->Retire();
  lost.clear();
  NotifyAll();
}

// Outside the lock: they lend from within.
void RegionConsumer::NotifyAll() {
  std::vector<std::shared_ptr<RegionLoans>> open;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [number, account] : accounts_) {
      if (auto loans = account.loans.lock()) open.push_back(std::move(loans));
    }
  }
  for (const auto& loans : open) loans->Notify();
}

}  // namespace automot::shared_memory
