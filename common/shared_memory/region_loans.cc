#include "common/shared_memory/region_loans.h"

#include <sys/socket.h>

namespace automot::shared_memory {

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

std::shared_ptr<RegionLoans> RegionConsumer::Open(uint64_t number, std::function<void()> on_room) {
  auto loans = std::make_shared<RegionLoans>(shared_from_this(), number, std::move(on_room));
  const std::lock_guard lock(mutex_);
  accounts_[number].loans = loans;
  return loans;
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
  const context::RegionPlace& place = *snapshot->kv.place();
  Account& account = accounts_[subscription];
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
  std::vector<context::SnapshotPtr> lost;
  {
    const std::lock_guard lock(mutex_);
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
    for (auto at = accounts_.begin(); at != accounts_.end();) {
      auto loans = at->second.loans.lock();
      const bool over = loans == nullptr && at->second.held == 0;
      if (loans != nullptr) open.push_back(std::move(loans));
      at = over ? accounts_.erase(at) : std::next(at);
    }
  }
  for (const auto& loans : open) loans->Notify();
}

}  // namespace automot::shared_memory
