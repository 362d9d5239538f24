// The part of SnapshotStore that does not depend on the payload: sessions, views, pins,
// reclamation. Cells are numbered; SnapshotStore keeps payload i beside cell i. Decision records
// 0005 and 0019 have the proof.
//
//   word[session]   one atomic: {view index : 24, readers that entered : 40}
//   view            immutable list of the retained cells of one session, newest first
//   front[view]     one atomic: {times the view was filled : 32 | its newest cell + 1 : 32}
//   pin             one atomic per handle: 0 free, kClaimed while its reader chooses, else cell + 1
//
// The usual read takes one look: read the word and the view's front, pin the newest cell by one
// compare-exchange, and read both again. Where they are what they were, the cell was the newest
// after it was pinned, so no scan can miss the pin. Where a writer came in between, or the newest
// cell is not what is asked for, the reader does the following once instead, so it never repeats.
//
// A reader claims a pin, enters the view by fetch_add on the word (index and entry in one step, so
// there is nothing to re-check), chooses a cell, stores it in the pin and leaves the view. A writer
// exchanges the word for a new view and learns how many readers entered the old one; the old view
// is recycled when as many have left, and a cell when no view lists it and no pin names it.
//
// Threads: Acquire and Unpin are wait-free; everything else takes the mutex.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/context/store_seam.h"
#include "common/context/store_types.h"

namespace automot::context {

class VersionTable {
 public:
  struct Pin {
    seam::Atomic<uint32_t> cell{0};
  };
  // What a reader asks for.
  struct Query {
    enum class Kind : uint8_t { kLatest, kVisible, kSpecific, kAtLeast };
    Kind kind = Kind::kLatest;
    SessionTimeUs now_us = 0;  // kVisible
    SnapshotId id;             // kSpecific, kAtLeast
  };
  struct Acquired {
    Pin* pin = nullptr;  // null: see miss
    uint32_t cell = 0;
    Miss miss = Miss::kNone;
  };

  struct alignas(64) View {
    seam::Atomic<int64_t> balance{0};      // entries counted by writers - readers that left
    seam::Atomic<uint64_t> front{0};       // last written before the view is shown
    seam::Atomic<uint32_t> generation{0};  // of the session, for readers that have not entered
    SessionHandle session;
    std::vector<uint32_t> cells;  // newest first; capacity max_retained, fixed at construction
  };
  // A reader inside a view. Without a view there is no pin either: see miss.
  struct Entry {
    Pin* pin = nullptr;
    View* view = nullptr;
    Miss miss = Miss::kNone;
  };

  // A reader between the two looks at the newest cell. Without a pin there is nothing to confirm.
  struct Announced {
    Pin* pin = nullptr;
    uint32_t view = 0;
    uint64_t front = 0;
    uint32_t generation = 0;
  };

  VersionTable(const StoreOptions& options, StoreObserver* observer);
  VersionTable(const VersionTable&) = delete;
  VersionTable& operator=(const VersionTable&) = delete;

  // INVALID_ARGUMENT naming the option and its limit.
  static absl::Status Validate(const StoreOptions& options);

  uint32_t cells() const { return static_cast<uint32_t>(cells_.size()); }
  const VersionInfo& info(uint32_t cell) const { return cells_[cell].info; }

  // ---- Wait-free. ----
  Acquired Acquire(SessionHandle session, ReaderSlot reader, const Query& query) const {
    const Acquired newest = Confirm(Announce(session, reader, query), session, query);
    return newest.pin != nullptr ? newest : Settle(Enter(session, reader), session, query);
  }
  // The halves of the usual read, apart so that a test can stop a reader between them: Announce
  // pins the newest cell, Confirm says whether it is the newest still and what is asked for, else
  // gives the pin back. Only for what the newest version answers as a rule: kLatest, kVisible.
  Announced Announce(SessionHandle session, ReaderSlot reader, const Query& query) const;
  Acquired Confirm(const Announced& announced, SessionHandle session, const Query& query) const;
  // The halves of the other: Enter claims a pin and enters the view, Settle chooses, pins and
  // leaves. Every Enter needs its Settle.
  Entry Enter(SessionHandle session, ReaderSlot reader) const;
  Acquired Settle(const Entry& entry, SessionHandle session, const Query& query) const;
  static void Unpin(Pin* pin) { pin->cell.store(0, std::memory_order_release); }

  // ---- Publication in two steps: Reserve, write the payload, Commit. ----
  std::optional<uint32_t> Reserve();
  // On any rejection the cell stays with the caller, who returns it.
  Rejection Commit(SessionHandle session, uint32_t cell, const VersionInfo& info);
  void CountRejection(const VersionInfo& info, Rejection why);

  // ---- Collection in two steps: Gather, destroy the payloads, Return. ----
  void Gather(std::vector<uint32_t>* unreachable);
  void Return(const std::vector<uint32_t>& cells);

  // ---- Sessions and readers: see SnapshotStore. ----
  absl::StatusOr<SessionHandle> Open(uint64_t session_id, uint32_t episode, uint32_t retained);
  absl::StatusOr<SessionHandle> Find(uint64_t session_id) const;
  absl::Status Fence(SessionHandle session, uint64_t epoch);
  absl::Status Reset(SessionHandle session, uint32_t episode);
  absl::Status Expire(SessionHandle session, SessionTimeUs oldest_capture_us);
  absl::Status Trim(SessionHandle session, uint32_t keep);
  absl::Status Close(SessionHandle session);
  absl::StatusOr<ReaderSlot> RegisterReader(std::string name);
  absl::Status UnregisterReader(ReaderSlot reader);

  void BeginDrain();
  uint32_t PinsInUse() const;
  // Waits until no pin is in use, at most `deadline` of wall time; returns how many are left.
  // Polls, so that releasing a handle stays a single store.
  uint32_t AwaitNoPins(absl::Duration deadline) const;
  StoreStats stats() const;
  uint32_t Retained(SessionHandle session);

 private:
  friend struct VersionTableState;  // the model checker compares states

  static constexpr uint32_t kClaimed = UINT32_MAX;
  static constexpr int kCountBits = 40;  // 10^12 entries between two folds
  static constexpr uint64_t kCountMask = (uint64_t{1} << kCountBits) - 1;

  struct alignas(64) Word {
    seam::Atomic<uint64_t> bits{0};  // view 0: the session is closed
  };
  struct Cell {
    VersionInfo info;
    uint32_t views = 0;  // that list it; under mutex_
  };
  struct Session {  // the writers' view of a session; under mutex_
    uint64_t id = 0;
    SessionHandle handle;  // generation 0: never opened
    bool open = false;
    uint32_t retained = 0;
    uint32_t episode = 0;
    uint64_t epoch = 0;  // in force; 0: none
    uint32_t view = 0;
    SnapshotId last;  // accepted last in this episode
    std::optional<SessionTimeUs> last_capture_us;
  };
  struct Reader {
    std::string name;
    bool registered = false;
  };

  // A free pin of the reader's, set to `named`; null without one.
  Pin* Claim(ReaderSlot reader, uint32_t named) const;
  static bool Answers(const VersionInfo& info, const Query& query);
  std::optional<uint32_t> Choose(const View& view, const Query& query) const;

  // All below: mutex_ held.
  Session* Lookup(SessionHandle handle);
  uint32_t NewView(SessionHandle session);
  void Show(Session& session, uint32_t view);
  uint32_t EnterWord(uint32_t slot, uint32_t view);
  void ReclaimViews();
  Rejection Judge(const Session* session, const VersionInfo& info) const;
  static Rejection JudgeOrder(const Session& session, const VersionInfo& info);
  void Hide(Session& session, uint32_t keep);
  void Emit(TransitionKind kind, const VersionInfo& info, Rejection why = Rejection::kNone);

  const StoreOptions options_;
  const uint32_t pin_stride_;  // pins_per_reader, rounded up to whole cache lines
  StoreObserver* const observer_;
  std::unique_ptr<Word[]> words_;
  std::unique_ptr<View[]> views_;
  std::vector<Cell> cells_;
  std::unique_ptr<Pin[]> pins_;
  seam::Atomic<bool> draining_{false};

  struct Writers {
    std::vector<Session> sessions;
    std::vector<Reader> readers;
    std::unordered_map<uint64_t, uint32_t> slot_of;  // session id -> slot
    std::vector<uint32_t> free_slots, free_views, free_cells;
    std::vector<uint32_t> retired_views;   // replaced, perhaps still entered
    std::vector<uint32_t> unlisted;        // cells of no view, perhaps still pinned
    std::vector<uint32_t> pinned_in_scan;  // cell -> number of the scan that last saw it pinned
    uint32_t scan = 0;
    uint32_t fold_next = 0;
    StoreStats stats;
  };
  mutable seam::Mutex mutex_;
  Writers writers_;  // under mutex_
};

}  // namespace automot::context
