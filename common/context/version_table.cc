#include "common/context/version_table.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <utility>

#include "absl/strings/str_cat.h"

namespace automot::context {
namespace {

constexpr uint32_t kPinsPerLine = 64 / sizeof(VersionTable::Pin);

absl::Status CheckRange(const char* name, uint64_t value, uint64_t low, uint64_t high) {
  if (value >= low && value <= high) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("store.", name, " is ", value, ", must be in [", low, ", ", high, "]"));
}

}  // namespace

absl::Status VersionTable::Validate(const StoreOptions& o) {
  absl::Status status = CheckRange("sessions", o.sessions, 1, 1U << 20);
  status.Update(CheckRange("max_retained", o.max_retained, 2, 256));
  status.Update(CheckRange("retained", o.retained, 2, o.max_retained));
  status.Update(CheckRange("readers", o.readers, 1, 4096));
  status.Update(CheckRange("pins_per_reader", o.pins_per_reader, 1, 4096));
  if (!status.ok()) return status;
  // The view index has 24 bits; a cell number needs 31 to leave room for the pin's two special
  // values.
  const uint64_t owners = uint64_t{o.sessions} + uint64_t{o.readers} * o.pins_per_reader;
  status.Update(CheckRange("sessions + readers * pins_per_reader", owners, 1, (1U << 24) - 3));
  status.Update(CheckRange("versions", owners * (o.max_retained + 1), 1, (1U << 31) - 1));
  return status;
}

VersionTable::VersionTable(const StoreOptions& options, StoreObserver* observer)
    : options_(options),
      pin_stride_((options.pins_per_reader + kPinsPerLine - 1) / kPinsPerLine * kPinsPerLine),
      observer_(observer) {
  const uint32_t pins = options.readers * options.pins_per_reader;
  // View 0 is the closed session. A session shows one view, a claimed pin holds at most one more,
  // and a writer prepares one before it retires another.
  const uint32_t views = 1 + options.sessions + pins + 1;
  // Every such view may list max_retained cells of its own; one publication per session may be
  // under way.
  const uint32_t cells = (options.sessions + pins) * options.max_retained + options.sessions + pins;
  words_ = std::make_unique<Word[]>(options.sessions);
  views_ = std::make_unique<View[]>(views);
  for (uint32_t i = 0; i < views; ++i) views_[i].cells.reserve(options.max_retained);
  cells_.resize(cells);
  pins_ = std::make_unique<Pin[]>(std::size_t{options.readers} * pin_stride_);
  writers_.sessions.resize(options.sessions);
  writers_.readers.resize(options.readers);
  writers_.slot_of.reserve(options.sessions);
  for (uint32_t i = options.sessions; i-- > 0;) writers_.free_slots.push_back(i);
  for (uint32_t i = views; i-- > 1;) writers_.free_views.push_back(i);
  for (uint32_t i = cells; i-- > 0;) writers_.free_cells.push_back(i);
  writers_.pinned_in_scan.resize(cells, 0);
}

// ---------------------------------------------------------------------------------------- readers

VersionTable::Pin* VersionTable::Claim(ReaderSlot reader, uint32_t named) const {
  if (reader.index >= options_.readers) return nullptr;
  Pin* const first = pins_.get() + std::size_t{reader.index} * pin_stride_;
  for (uint32_t i = 0; i < options_.pins_per_reader; ++i) {
    uint32_t expected = 0;
    if (first[i].cell.load(std::memory_order_relaxed) == 0 &&
        first[i].cell.compare_exchange_strong(expected, named)) {
      return first + i;
    }
  }
  return nullptr;
}

bool VersionTable::Answers(const VersionInfo& info, const Query& query) {
  if (query.kind == Query::Kind::kLatest) return true;
  return info.visible_time_us <= query.now_us && info.capture_time_us <= query.now_us;
}

VersionTable::Announced VersionTable::Announce(SessionHandle session, ReaderSlot reader,
                                               const Query& query) const {
  const bool usual = query.kind == Query::Kind::kLatest || query.kind == Query::Kind::kVisible;
  if (!usual || session.slot >= options_.sessions) return {};
  Announced announced;
  announced.view = static_cast<uint32_t>(
      words_[session.slot].bits.load(std::memory_order_acquire) >> kCountBits);
  const View& view = views_[announced.view];
  announced.front = view.front.load(std::memory_order_acquire);
  announced.generation = view.generation.load(std::memory_order_acquire);
  const auto named = static_cast<uint32_t>(announced.front);
  if (named != 0) announced.pin = Claim(reader, named);
  return announced;
}

VersionTable::Acquired VersionTable::Confirm(const Announced& announced, SessionHandle session,
                                             const Query& query) const {
  if (announced.pin == nullptr) return {};
  // Sequentially consistent, as the claim before it, the exchange of the word and the scan of the
  // pins: either the scan sees the pin, or this load sees that the view is not shown any more.
  const uint64_t word = words_[session.slot].bits.load();
  const bool shown = static_cast<uint32_t>(word >> kCountBits) == announced.view;
  // The same view may have been filled again: then its front has changed.
  const bool same = views_[announced.view].front.load(std::memory_order_acquire) == announced.front;
  const bool its_own = announced.generation == session.generation;
  const uint32_t cell = static_cast<uint32_t>(announced.front) - 1;
  if (shown && same && its_own && !draining_.load() && Answers(cells_[cell].info, query)) {
    return {announced.pin, cell, Miss::kNone};
  }
  Unpin(announced.pin);
  return {};
}

std::optional<uint32_t> VersionTable::Choose(const View& view, const Query& query) const {
  if (view.cells.empty()) return std::nullopt;
  const uint32_t newest = view.cells.front();
  switch (query.kind) {
    case Query::Kind::kLatest:
      return newest;
    case Query::Kind::kAtLeast:
      if (PublicationOrder(cells_[newest].info.id, query.id) >= 0) return newest;
      return std::nullopt;
    case Query::Kind::kSpecific:
      for (uint32_t cell : view.cells) {
        if (cells_[cell].info.id == query.id) return cell;
      }
      return std::nullopt;
    case Query::Kind::kVisible:
      for (uint32_t cell : view.cells) {
        if (Answers(cells_[cell].info, query)) return cell;
      }
      return std::nullopt;
  }
  return std::nullopt;
}

VersionTable::Entry VersionTable::Enter(SessionHandle session, ReaderSlot reader) const {
  if (session.slot >= options_.sessions || !session.valid()) {
    return {nullptr, nullptr, Miss::kUnknownSession};
  }
  if (draining_.load(std::memory_order_relaxed)) return {nullptr, nullptr, Miss::kDraining};
  Pin* const pin = Claim(reader, kClaimed);
  if (pin == nullptr) return {nullptr, nullptr, Miss::kNoPinSlot};
  // Again, after the claim: either this load sees the drain, or the drain's scan sees the claim.
  if (draining_.load()) {
    Unpin(pin);
    return {nullptr, nullptr, Miss::kDraining};
  }
  const uint64_t word = words_[session.slot].bits.fetch_add(1, std::memory_order_acquire);
  const auto index = static_cast<uint32_t>(word >> kCountBits);
  if (index == 0) {
    Unpin(pin);
    return {nullptr, nullptr, Miss::kUnknownSession};
  }
  return {pin, &views_[index], Miss::kNone};
}

VersionTable::Acquired VersionTable::Settle(const Entry& entry, SessionHandle session,
                                            const Query& query) const {
  if (entry.view == nullptr) return {nullptr, 0, entry.miss};
  Acquired result;
  if (entry.view->session != session) {
    result.miss = Miss::kUnknownSession;
  } else if (const std::optional<uint32_t> cell = Choose(*entry.view, query)) {
    result = {entry.pin, *cell, Miss::kNone};
  } else {
    result.miss = Miss::kNoVersion;
  }
  entry.pin->cell.store(result.pin == nullptr ? 0 : result.cell + 1, std::memory_order_release);
  // Releases the pin's store to whoever finds the view empty. Nothing of the view is touched after
  // it.
  entry.view->balance.fetch_sub(1, std::memory_order_release);
  return result;
}

// ---------------------------------------------------------------------------------------- writers

VersionTable::Session* VersionTable::Lookup(SessionHandle handle) {
  if (!handle.valid() || handle.slot >= options_.sessions) return nullptr;
  Session& session = writers_.sessions[handle.slot];
  return session.open && session.handle == handle ? &session : nullptr;
}

uint32_t VersionTable::EnterWord(uint32_t slot, uint32_t view) {
  const uint64_t old = words_[slot].bits.exchange(uint64_t{view} << kCountBits);
  const auto index = static_cast<uint32_t>(old >> kCountBits);
  if (index != 0) {
    views_[index].balance.fetch_add(static_cast<int64_t>(old & kCountMask),
                                    std::memory_order_acq_rel);
  }
  return index;
}

uint32_t VersionTable::NewView(SessionHandle session) {
  if (writers_.free_views.empty()) ReclaimViews();
  const uint32_t index = writers_.free_views.back();  // never empty: see the constructor
  writers_.free_views.pop_back();
  View& view = views_[index];
  view.balance.store(0, std::memory_order_relaxed);
  view.session = session;
  view.cells.clear();
  return index;
}

void VersionTable::Show(Session& session, uint32_t view) {
  // Complete now: its front says so, and that it is not what it was when it was shown before.
  const std::vector<uint32_t>& listed = views_[view].cells;
  const uint64_t fills = (views_[view].front.load(std::memory_order_relaxed) >> 32U) + 1;
  views_[view].generation.store(session.handle.generation, std::memory_order_release);
  views_[view].front.store(fills << 32U | (listed.empty() ? 0 : listed.front() + 1),
                           std::memory_order_release);
  for (uint32_t cell : views_[view].cells) ++cells_[cell].views;
  const uint32_t old = EnterWord(session.handle.slot, view);
  if (old != 0) writers_.retired_views.push_back(old);
  session.view = view;
}

void VersionTable::ReclaimViews() {
  std::erase_if(writers_.retired_views, [this](uint32_t index) {
    View& view = views_[index];
    if (view.balance.load(std::memory_order_acquire) != 0) return false;
    for (uint32_t cell : view.cells) {
      if (--cells_[cell].views == 0) writers_.unlisted.push_back(cell);
    }
    writers_.free_views.push_back(index);
    return true;
  });
}

void VersionTable::Emit(TransitionKind kind, const VersionInfo& info, Rejection why) {
  if (observer_ != nullptr) observer_->OnTransition({kind, info.id, info.capture_time_us, why});
}

std::optional<uint32_t> VersionTable::Reserve() {
  const std::lock_guard lock(mutex_);
  if (writers_.free_cells.empty()) return std::nullopt;
  const uint32_t cell = writers_.free_cells.back();
  writers_.free_cells.pop_back();
  return cell;
}

Rejection VersionTable::Judge(const Session* session, const VersionInfo& info) const {
  if (draining_.load()) return Rejection::kDraining;
  if (session == nullptr) return Rejection::kUnknownSession;
  const SnapshotId& id = info.id;
  if (id.session != session->id) return Rejection::kWrongSession;
  if (id.episode < session->episode) return Rejection::kOldEpisode;
  if (id.episode > session->episode) return Rejection::kFutureEpisode;
  if (id.epoch < session->epoch) return Rejection::kOldEpoch;
  if (id.epoch != session->epoch || session->epoch == 0) return Rejection::kFutureEpoch;
  return JudgeOrder(*session, info);
}

Rejection VersionTable::JudgeOrder(const Session& session, const VersionInfo& info) {
  if (!info.id.valid()) return Rejection::kOldVersion;
  if (session.last.valid() && PublicationOrder(info.id, session.last) <= 0) {
    return Rejection::kOldVersion;
  }
  if (session.last_capture_us && info.capture_time_us <= *session.last_capture_us) {
    return Rejection::kCaptureNotNewer;
  }
  return Rejection::kNone;
}

Rejection VersionTable::Commit(SessionHandle handle, uint32_t cell, const VersionInfo& info) {
  const std::lock_guard lock(mutex_);
  Session* const session = Lookup(handle);
  if (const Rejection why = Judge(session, info); why != Rejection::kNone) {
    ++writers_.stats.rejected[static_cast<int>(why)];
    Emit(TransitionKind::kRejected, info, why);
    return why;
  }
  cells_[cell].info = info;
  const uint32_t index = NewView(handle);
  const std::vector<uint32_t>& before = views_[session->view].cells;
  const std::size_t kept = std::min<std::size_t>(before.size(), session->retained - 1);
  std::vector<uint32_t>& after = views_[index].cells;
  after.push_back(cell);
  after.insert(after.end(), before.begin(), before.begin() + static_cast<std::ptrdiff_t>(kept));
  session->last = info.id;
  session->last_capture_us = info.capture_time_us;
  Show(*session, index);  // the publication
  ++writers_.stats.published;
  Emit(TransitionKind::kPublished, info);
  if (!before.empty()) {
    ++writers_.stats.superseded;
    Emit(TransitionKind::kSuperseded, cells_[before.front()].info);
  }
  for (std::size_t i = kept; i < before.size(); ++i) {
    ++writers_.stats.retired;
    Emit(TransitionKind::kRetired, cells_[before[i]].info);
  }
  return Rejection::kNone;
}

void VersionTable::CountRejection(const VersionInfo& info, Rejection why) {
  const std::lock_guard lock(mutex_);
  ++writers_.stats.rejected[static_cast<int>(why)];
  Emit(TransitionKind::kRejected, info, why);
}

void VersionTable::Gather(std::vector<uint32_t>* unreachable) {
  const std::lock_guard lock(mutex_);
  // Folds one word per call, in turn, so that no count can ever reach the index bits.
  Session& folded = writers_.sessions[writers_.fold_next];
  EnterWord(writers_.fold_next, folded.open ? folded.view : 0);
  writers_.fold_next = (writers_.fold_next + 1) % options_.sessions;
  ReclaimViews();
  if (writers_.unlisted.empty()) return;
  // Pins are read after the views were found empty: a reader stores its pin before it leaves its
  // view.
  ++writers_.scan;
  const std::size_t pins = std::size_t{options_.readers} * pin_stride_;
  for (std::size_t i = 0; i < pins; ++i) {
    const uint32_t pinned = pins_[i].cell.load();
    if (pinned != 0 && pinned != kClaimed) writers_.pinned_in_scan[pinned - 1] = writers_.scan;
  }
  std::erase_if(writers_.unlisted, [this, unreachable](uint32_t cell) {
    if (writers_.pinned_in_scan[cell] == writers_.scan) return false;
    unreachable->push_back(cell);
    ++writers_.stats.freed;
    Emit(TransitionKind::kFreed, cells_[cell].info);
    return true;
  });
}

void VersionTable::Return(const std::vector<uint32_t>& cells) {
  const std::lock_guard lock(mutex_);
  writers_.free_cells.insert(writers_.free_cells.end(), cells.begin(), cells.end());
}

void VersionTable::BeginDrain() {
  const std::lock_guard lock(mutex_);
  if (draining_.exchange(true)) return;
  Emit(TransitionKind::kDraining, {});
}

uint32_t VersionTable::PinsInUse() const {
  const std::size_t pins = std::size_t{options_.readers} * pin_stride_;
  uint32_t used = 0;
  for (std::size_t i = 0; i < pins; ++i) used += pins_[i].cell.load() != 0 ? 1U : 0U;
  return used;
}

uint32_t VersionTable::AwaitNoPins(absl::Duration deadline) const {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point end =
      Clock::now() + absl::ToChronoNanoseconds(std::min(deadline, absl::Hours(1)));
  std::mutex mutex;
  std::condition_variable never;
  std::unique_lock lock(mutex);
  for (uint32_t left = PinsInUse();; left = PinsInUse()) {
    if (left == 0 || Clock::now() >= end) return left;
    never.wait_until(lock, std::min(end, Clock::now() + std::chrono::milliseconds(1)));
  }
}

StoreStats VersionTable::stats() const {
  const std::lock_guard lock(mutex_);
  StoreStats stats = writers_.stats;
  stats.live_versions = cells() - static_cast<uint32_t>(writers_.free_cells.size());
  stats.pins_in_use = PinsInUse();
  return stats;
}

uint32_t VersionTable::Retained(SessionHandle handle) {
  const std::lock_guard lock(mutex_);
  const Session* const session = Lookup(handle);
  return session == nullptr ? 0 : static_cast<uint32_t>(views_[session->view].cells.size());
}

}  // namespace automot::context
