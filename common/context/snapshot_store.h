// Versioned store of immutable context snapshots: many sessions, wait-free readers, fenced
// publishers.
//
//   read     Latest / LatestVisible / Specific / AtLeast: session look-up, choice and pin in one
//   bounded
//            sequence of instructions without a loop that a writer could prolong. No lock, no heap,
//            no system call, no wait. Monotonic: if any thread saw v, no later read on any thread
//            of the same session (and request) sees v' < v, except after Reset, Close or Expire.
//   handle   pins exactly one version, whatever is published, reset or closed meanwhile. Release is
//   one
//            store; it never destroys a payload.
//   publish  becomes visible by one atomic exchange, after the payload is complete. Takes the
//   writers'
//            mutex; so do all other methods below "Writers".
//   collect  destroys unreachable, unpinned payloads on the calling thread: the janitor's or a
//            publisher's, never a reader's.
//   bound    per session K retained versions, plus at most one per pin slot in use (K per reader
//   thread
//            that is suspended inside the read itself), plus what Collect has not yet seen.
//
// Ownership: the store owns the payloads. It must outlive its handles. See decision record 0005.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/context/periodic_thread.h"
#include "common/context/store_types.h"
#include "common/context/version_table.h"
#include "common/status/status_macros.h"

namespace automot::context {

template <typename Payload>
class SnapshotStore {
  using Query = VersionTable::Query;

 public:
  // A pinned version, or the reason why there is none. Movable; owned by one thread at a time,
  // released on any thread.
  class Handle {
   public:
    Handle() = default;
    explicit Handle(Miss miss) : miss_(miss) {}
    Handle(Handle&& other) noexcept { *this = std::move(other); }
    Handle& operator=(Handle&& other) noexcept {
      if (this != &other) {
        Release();
        pin_ = std::exchange(other.pin_, nullptr);
        payload_ = other.payload_;
        info_ = other.info_;
        miss_ = std::exchange(other.miss_, Miss::kNoVersion);
      }
      return *this;
    }
    Handle(const Handle&) = delete;
    Handle& operator=(const Handle&) = delete;
    ~Handle() { Release(); }

    explicit operator bool() const { return pin_ != nullptr; }
    Miss miss() const { return miss_; }

    // Require a pinned version. References stay valid until Release.
    const Payload& operator*() const { return *payload_; }
    const Payload* operator->() const { return payload_; }
    const SnapshotId& id() const { return info_->id; }
    SessionTimeUs capture_time_us() const { return info_->capture_time_us; }
    SessionTimeUs visible_time_us() const { return info_->visible_time_us; }

    // Gives the pin back; one store, idempotent.
    void Release() {
      if (pin_ == nullptr) return;
      VersionTable::Unpin(std::exchange(pin_, nullptr));
      miss_ = Miss::kNoVersion;
    }

   private:
    friend class SnapshotStore;
    Handle(VersionTable::Pin* pin, const Payload* payload, const VersionInfo* info)
        : pin_(pin), payload_(payload), info_(info), miss_(Miss::kNone) {}

    VersionTable::Pin* pin_ = nullptr;
    const Payload* payload_ = nullptr;
    const VersionInfo* info_ = nullptr;
    Miss miss_ = Miss::kNoVersion;
  };

  // Allocates everything that readers will ever touch. `observer` may be null and must outlive the
  // store. INVALID_ARGUMENT: an option out of range.
  static absl::StatusOr<std::unique_ptr<SnapshotStore>> Create(const StoreOptions& options,
                                                               StoreObserver* observer = nullptr);
  SnapshotStore(const SnapshotStore&) = delete;
  SnapshotStore& operator=(const SnapshotStore&) = delete;

  // ---- Readers: wait-free, any thread. ----
  // Newest version. Miss: kNoVersion before the first.
  Handle Latest(SessionHandle session, ReaderSlot reader) const {
    return Acquire(session, reader, {.kind = Query::Kind::kLatest});
  }
  // Newest retained version with visible_time_us <= now_us and capture_time_us <= now_us; now_us is
  // the capture time of the observation being planned. A newer but invisible version is
  // CONTEXT_FROM_FUTURE's business: compare with Latest.
  Handle LatestVisible(SessionHandle session, ReaderSlot reader, SessionTimeUs now_us) const {
    return Acquire(session, reader, {.kind = Query::Kind::kVisible, .now_us = now_us});
  }
  // Exactly `id`, or kNoVersion.
  Handle Specific(SessionHandle session, ReaderSlot reader, const SnapshotId& id) const {
    return Acquire(session, reader, {.kind = Query::Kind::kSpecific, .id = id});
  }
  // Newest version, if not older than `id` in publication order.
  Handle AtLeast(SessionHandle session, ReaderSlot reader, const SnapshotId& id) const {
    return Acquire(session, reader, {.kind = Query::Kind::kAtLeast, .id = id});
  }

  // ---- Readers' registration: takes the mutex, before the loop starts. ----
  // RESOURCE_EXHAUSTED: options.readers are registered.
  absl::StatusOr<ReaderSlot> RegisterReader(std::string name) {
    return table_.RegisterReader(std::move(name));
  }
  // FAILED_PRECONDITION while the reader still holds handles.
  absl::Status UnregisterReader(ReaderSlot reader) { return table_.UnregisterReader(reader); }

  // ---- Writers: any thread but the planner's. ----
  // `retained` 0 means options.retained. ALREADY_EXISTS, RESOURCE_EXHAUSTED (options.sessions),
  // INVALID_ARGUMENT (retained), UNAVAILABLE (draining).
  absl::StatusOr<SessionHandle> Open(uint64_t session_id, uint32_t episode, uint32_t retained = 0) {
    return table_.Open(session_id, episode, retained);
  }
  // NOT_FOUND: not open.
  absl::StatusOr<SessionHandle> Find(uint64_t session_id) const { return table_.Find(session_id); }
  // Admits `epoch` and fences every older one, at once and before its first snapshot. Without a
  // Fence the session admits no publication. FAILED_PRECONDITION: not newer than the one in force.
  // NOT_FOUND.
  absl::Status Fence(SessionHandle session, uint64_t epoch) { return table_.Fence(session, epoch); }
  // Makes `payload` the latest version of the session. On a rejection the payload is destroyed
  // here, the version served before keeps serving, and the observer and stats() count why.
  Rejection Publish(SessionHandle session, const VersionInfo& info, Payload payload);
  // Begins an episode; hides every earlier version at once. FAILED_PRECONDITION: not newer.
  // NOT_FOUND.
  absl::Status Reset(SessionHandle session, uint32_t episode) {
    return table_.Reset(session, episode);
  }
  // Hides versions captured before `oldest_capture_us` (end of retention). NOT_FOUND.
  absl::Status Expire(SessionHandle session, SessionTimeUs oldest_capture_us) {
    return table_.Expire(session, oldest_capture_us);
  }
  // Hides all but the newest `keep` versions, at least 1: to make room. NOT_FOUND: not open.
  absl::Status Trim(SessionHandle session, uint32_t keep) { return table_.Trim(session, keep); }
  // Hides everything and frees the slot. NOT_FOUND: not open.
  absl::Status Close(SessionHandle session) { return table_.Close(session); }

  // ---- Collection and drain. ----
  // Destroys every unreachable, unpinned payload; returns how many.
  std::size_t Collect();
  // Runs Collect on a thread of its own every `period` until the store dies. Idempotent.
  void StartJanitor(absl::Duration period);
  // No new handles and publications from now on; waits until the existing handles are released.
  // DEADLINE_EXCEEDED: how many are left; they stay valid.
  absl::Status Drain(absl::Duration deadline);

  // Versions that readers of `session` can reach; 0 where it is not open. Takes the mutex.
  uint32_t Retained(SessionHandle session) { return table_.Retained(session); }
  // Counters and gauges; takes the mutex.
  StoreStats stats() const { return table_.stats(); }

 private:
  friend struct VersionTableState;  // the model checker compares states
  SnapshotStore(const StoreOptions& options, StoreObserver* observer)
      : table_(options, observer), payloads_(table_.cells()) {}
  Handle Acquire(SessionHandle session, ReaderSlot reader, const VersionTable::Query& query) const {
    const VersionTable::Acquired acquired = table_.Acquire(session, reader, query);
    if (acquired.pin == nullptr) return Handle(acquired.miss);
    return Handle(acquired.pin, &*payloads_[acquired.cell], &table_.info(acquired.cell));
  }

  VersionTable table_;
  std::vector<std::optional<Payload>>
      payloads_;                             // by cell; written only while the cell is unreachable
  std::mutex janitor_mutex_;                 // guards janitor_ in StartJanitor
  std::unique_ptr<PeriodicThread> janitor_;  // last: it stops before the payloads die
};

template <typename Payload>
absl::StatusOr<std::unique_ptr<SnapshotStore<Payload>>> SnapshotStore<Payload>::Create(
    const StoreOptions& options, StoreObserver* observer) {
  AUTOMOT_RETURN_IF_ERROR(VersionTable::Validate(options));
  return std::unique_ptr<SnapshotStore>(new SnapshotStore(options, observer));
}

template <typename Payload>
Rejection SnapshotStore<Payload>::Publish(SessionHandle session, const VersionInfo& info,
                                          Payload payload) {
  std::optional<uint32_t> cell = table_.Reserve();
  if (!cell) {
    Collect();
    cell = table_.Reserve();
  }
  if (!cell) {
    table_.CountRejection(info, Rejection::kNoCapacity);
    return Rejection::kNoCapacity;
  }
  payloads_[*cell].emplace(std::move(payload));
  const Rejection rejection = table_.Commit(session, *cell, info);
  if (rejection != Rejection::kNone) {
    payloads_[*cell].reset();
    table_.Return({*cell});
    return rejection;
  }
  Collect();
  return rejection;
}

template <typename Payload>
std::size_t SnapshotStore<Payload>::Collect() {
  std::vector<uint32_t> unreachable;
  table_.Gather(&unreachable);
  for (uint32_t cell : unreachable) payloads_[cell].reset();
  table_.Return(unreachable);
  return unreachable.size();
}

template <typename Payload>
void SnapshotStore<Payload>::StartJanitor(absl::Duration period) {
  const std::lock_guard lock(janitor_mutex_);
  if (janitor_ == nullptr) {
    janitor_ = std::make_unique<PeriodicThread>("store-janitor", period, [this] { Collect(); });
  }
}

template <typename Payload>
absl::Status SnapshotStore<Payload>::Drain(absl::Duration deadline) {
  table_.BeginDrain();
  const uint32_t left = table_.AwaitNoPins(deadline);
  Collect();
  if (left == 0) return absl::OkStatus();
  return absl::DeadlineExceededError(absl::StrCat("drain: ", left, " handles are still held after ",
                                                  absl::FormatDuration(deadline)));
}

}  // namespace automot::context
