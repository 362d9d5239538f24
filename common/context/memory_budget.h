// How many bytes of context versions one process, and each session in it, may hold.
//
// A session is admitted only where two versions of it fit beside two of every other open session:
// the one that serves and its successor. A version is admitted where its bytes fit under both
// limits. The budget only ever refuses: what to give up first (versions that are retained behind
// the newest) is its user's business, and a session's last version is never given up.
//
// Threads: any but the planning thread; takes a mutex. A charge may outlive the budget and is given
// back on whatever thread destroys it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace automot::context {

class MemoryBudget {
 public:
  struct Options {
    std::size_t process_bytes = std::size_t{8} << 30;
    std::size_t session_bytes = 0;  // of one session; 0: the process's limit alone
    // Size of a version until a larger one has been seen; 0: unknown, sessions are then admitted.
    std::size_t expected_version_bytes = 0;
  };
  // Which limit a version did not fit under.
  enum class Refusal : uint8_t { kNone, kProcess, kSession };
  struct Stats {
    std::size_t used_bytes = 0;             // of all versions alive
    std::size_t largest_session_bytes = 0;  // of the session that holds most
    std::size_t process_limit_bytes = 0;
    std::size_t session_limit_bytes = 0;  // 0: none
    std::size_t sessions = 0;             // open
    uint64_t sessions_refused = 0;
    uint64_t versions_refused_by_process = 0;  // Take calls
    uint64_t versions_refused_by_session = 0;  // Take calls
  };
  // The bytes of one version, taken until it dies. Movable, owned by one thread at a time.
  class Charge;

  explicit MemoryBudget(const Options& options);
  ~MemoryBudget();
  MemoryBudget(const MemoryBudget&) = delete;
  MemoryBudget& operator=(const MemoryBudget&) = delete;

  // Admits a session. RESOURCE_EXHAUSTED naming the bytes and the limit. Each Open needs its Close.
  absl::Status Open();
  // Charges that are still held count on.
  void Close();

  // RESOURCE_EXHAUSTED naming the bytes and the limit; `refusal`, where given, then says which.
  absl::StatusOr<Charge> Take(uint64_t session, std::size_t bytes, Refusal* refusal = nullptr);

  Stats stats() const;

 private:
  class Ledger;
  std::shared_ptr<Ledger> ledger_;
};

class MemoryBudget::Charge {
 public:
  Charge() = default;
  Charge(Charge&& other) noexcept { *this = std::move(other); }
  Charge& operator=(Charge&& other) noexcept;
  Charge(const Charge&) = delete;
  Charge& operator=(const Charge&) = delete;
  ~Charge() { GiveBack(); }

  std::size_t bytes() const { return bytes_; }

 private:
  friend class MemoryBudget;
  Charge(std::shared_ptr<Ledger> ledger, uint64_t session, std::size_t bytes)
      : ledger_(std::move(ledger)), session_(session), bytes_(bytes) {}
  void GiveBack();

  std::shared_ptr<Ledger> ledger_;  // null: nothing is charged
  uint64_t session_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace automot::context
