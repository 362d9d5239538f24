// What consumers of shared regions hold: who was given which use of which region, and what happens
// when it is given back, or never is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/context/context_snapshot.h"
#include "common/shared_memory/region_message.h"

namespace automot::shared_memory {

enum class LendOutcome : uint8_t {
  kLent,
  kNoRoom,  // the consumer holds all that it may, or does not read: on_room follows
  kEnded,   // its connection or subscription is over
};

struct LoanLimits {
  std::size_t snapshots = 12;                         // of one subscription
  std::size_t consumer_bytes = std::size_t{4} << 30;  // of one connection
};

class RegionConsumer;

// The account of one subscription. Thread-safe; `on_room` is called on the server's thread, never
// after Close has returned, and may call Lend.
class RegionLoans {
 public:
  RegionLoans(std::shared_ptr<RegionConsumer> consumer, uint64_t number)
      : consumer_(std::move(consumer)), number_(number) {}
  ~RegionLoans();

  void NotifyOnRoom(std::function<void()> on_room);

  // Passes the snapshot's region to the consumer unless it has it, and holds the snapshot until the
  // consumer gives it back. A buffer that lies in no region is kEnded: no consumer could get it.
  LendOutcome Lend(const context::SnapshotPtr& snapshot);
  // Ends the calls of on_room. What is lent stays lent.
  void Close();

  uint64_t number() const { return number_; }
  std::size_t snapshot_limit() const;
  std::size_t held() const;

  // Of the consumer: there may be room, or the end.
  void Notify();

 private:
  const std::shared_ptr<RegionConsumer> consumer_;
  const uint64_t number_;
  std::mutex mutex_;
  std::function<void()> on_room_ ABSL_GUARDED_BY(mutex_);
};

// One authenticated connection. Thread-safe; the socket is read by the server's thread alone.
class RegionConsumer : public std::enable_shared_from_this<RegionConsumer> {
 public:
  RegionConsumer(UniqueDescriptor socket, std::string token, const LoanLimits& limits)
      : socket_(std::move(socket)), token_(std::move(token)), limits_(limits) {}

  int socket() const { return socket_.get(); }
  const std::string& token() const { return token_; }
  const LoanLimits& limits() const { return limits_; }

  // INVALID_ARGUMENT: number 0 or one in use. CANCELLED: the consumer has ended it already.
  absl::StatusOr<std::shared_ptr<RegionLoans>> Open(uint64_t number);
  LendOutcome Lend(uint64_t subscription, const context::SnapshotPtr& snapshot);
  std::size_t held(uint64_t subscription) const;
  std::size_t held_bytes() const;

  // The consumer says so. Uses that it does not hold are ignored.
  void Release(uint64_t region, uint64_t generation);
  void End(uint64_t subscription, uint64_t received);

  // The connection is over. What is lent may be read for ever: those regions are retired.
  void Drop();

 private:
  using Use = std::pair<uint64_t, uint64_t>;  // region, generation
  struct Loan {
    context::SnapshotPtr snapshot;
    uint64_t subscription = 0;
    uint64_t ordinal = 0;  // within the subscription, from 1
    std::size_t bytes = 0;
  };
  struct Account {
    std::weak_ptr<RegionLoans> loans;
    std::size_t held = 0;
    uint64_t lent = 0;   // ever
    bool ended = false;  // by the consumer
  };
  // An account lives while it is open or something is held.
  using Accounts = std::map<uint64_t, Account>;

  friend class RegionLoans;
  void CloseAccount(uint64_t number);

  LendOutcome TryLend(uint64_t subscription, const context::SnapshotPtr& snapshot)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Introduce(const std::shared_ptr<context::MemoryRegion>& region)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ForgetGone() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  context::SnapshotPtr Remove(std::map<Use, Loan>::iterator at)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void NotifyAll();

  const UniqueDescriptor socket_;
  const std::string token_;
  const LoanLimits limits_;
  mutable std::mutex mutex_;
  std::map<Use, Loan> loans_ ABSL_GUARDED_BY(mutex_);
  Accounts accounts_ ABSL_GUARDED_BY(mutex_);
  std::map<uint64_t, std::weak_ptr<context::MemoryRegion>> introduced_ ABSL_GUARDED_BY(mutex_);
  std::size_t held_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  std::deque<uint64_t> early_ends_ ABSL_GUARDED_BY(mutex_);  // of subscriptions not seen yet
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace automot::shared_memory
