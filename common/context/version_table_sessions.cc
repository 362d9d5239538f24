// Sessions and readers of VersionTable: what changes rarely.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/context/version_table.h"

namespace automot::context {
namespace {

absl::Status NotOpen(SessionHandle session) {
  return absl::NotFoundError(absl::StrCat("session handle {slot ", session.slot, ", generation ",
                                          session.generation, "} is not open"));
}

}  // namespace

absl::StatusOr<SessionHandle> VersionTable::Open(uint64_t session_id, uint32_t episode,
                                                 uint32_t retained) {
  const std::lock_guard lock(mutex_);
  if (retained == 0) retained = options_.retained;
  if (draining_.load()) return absl::UnavailableError("the snapshot store is draining");
  if (retained < 2 || retained > options_.max_retained) {
    return absl::InvalidArgumentError(absl::StrCat(
        "session.retained is ", retained, ", must be in [2, ", options_.max_retained, "]"));
  }
  if (writers_.slot_of.contains(session_id)) {
    return absl::AlreadyExistsError(absl::StrCat("session ", session_id, " is open already"));
  }
  if (writers_.free_slots.empty()) {
    return absl::ResourceExhaustedError(
        absl::StrCat("session ", session_id, " refused: ", options_.sessions,
                     " sessions are open, limit ", options_.sessions));
  }
  const uint32_t slot = writers_.free_slots.back();
  writers_.free_slots.pop_back();
  Session& session = writers_.sessions[slot];
  const SessionHandle handle{slot, session.handle.generation + 1};
  session = Session{
      .id = session_id, .handle = handle, .open = true, .retained = retained, .episode = episode};
  writers_.slot_of.emplace(session_id, slot);
  ++writers_.stats.open_sessions;
  Show(session, NewView(handle));
  return handle;
}

absl::StatusOr<SessionHandle> VersionTable::Find(uint64_t session_id) const {
  const std::lock_guard lock(mutex_);
  const auto found = writers_.slot_of.find(session_id);
  if (found == writers_.slot_of.end()) {
    return absl::NotFoundError(absl::StrCat("session ", session_id, " is not open"));
  }
  return writers_.sessions[found->second].handle;
}

absl::Status VersionTable::Fence(SessionHandle handle, uint64_t epoch) {
  const std::lock_guard lock(mutex_);
  Session* const session = Lookup(handle);
  if (session == nullptr) return NotOpen(handle);
  if (epoch <= session->epoch) {
    return absl::FailedPreconditionError(absl::StrCat("epoch ", epoch, " of session ", session->id,
                                                      " is not newer than ", session->epoch));
  }
  session->epoch = epoch;
  return absl::OkStatus();
}

void VersionTable::Hide(Session& session, uint32_t keep) {
  const std::vector<uint32_t>& before = views_[session.view].cells;
  const uint32_t index = NewView(session.handle);
  views_[index].cells.assign(before.begin(), before.begin() + keep);
  Show(session, index);
  for (std::size_t i = keep; i < before.size(); ++i) {
    ++writers_.stats.retired;
    Emit(TransitionKind::kRetired, cells_[before[i]].info);
  }
}

absl::Status VersionTable::Reset(SessionHandle handle, uint32_t episode) {
  const std::lock_guard lock(mutex_);
  Session* const session = Lookup(handle);
  if (session == nullptr) return NotOpen(handle);
  if (episode <= session->episode) {
    return absl::FailedPreconditionError(absl::StrCat(
        "episode ", episode, " of session ", session->id, " is not newer than ", session->episode));
  }
  Hide(*session, 0);
  session->episode = episode;
  session->last = SnapshotId{};
  session->last_capture_us.reset();
  Emit(TransitionKind::kReset, {.id = {.session = session->id, .episode = episode}});
  return absl::OkStatus();
}

absl::Status VersionTable::Expire(SessionHandle handle, SessionTimeUs oldest_capture_us) {
  const std::lock_guard lock(mutex_);
  Session* const session = Lookup(handle);
  if (session == nullptr) return NotOpen(handle);
  const std::vector<uint32_t>& cells = views_[session->view].cells;
  const auto first_old = std::find_if(cells.begin(), cells.end(), [&](uint32_t cell) {
    return cells_[cell].info.capture_time_us < oldest_capture_us;
  });
  if (first_old != cells.end()) Hide(*session, static_cast<uint32_t>(first_old - cells.begin()));
  return absl::OkStatus();
}

absl::Status VersionTable::Trim(SessionHandle handle, uint32_t keep) {
  const std::lock_guard lock(mutex_);
  Session* const session = Lookup(handle);
  if (session == nullptr) return NotOpen(handle);
  keep = std::max<uint32_t>(keep, 1);
  if (views_[session->view].cells.size() > keep) Hide(*session, keep);
  return absl::OkStatus();
}

absl::Status VersionTable::Close(SessionHandle handle) {
  const std::lock_guard lock(mutex_);
  Session* const session = Lookup(handle);
  if (session == nullptr) return NotOpen(handle);
  Hide(*session, 0);
  writers_.retired_views.push_back(EnterWord(handle.slot, 0));
  session->open = false;
  writers_.slot_of.erase(session->id);
  writers_.free_slots.push_back(handle.slot);
  --writers_.stats.open_sessions;
  Emit(TransitionKind::kClosed, {.id = {.session = session->id, .episode = session->episode}});
  return absl::OkStatus();
}

// ------------------------------------------------------------------------------ readers'
// registration

absl::StatusOr<ReaderSlot> VersionTable::RegisterReader(std::string name) {
  const std::lock_guard lock(mutex_);
  for (uint32_t i = 0; i < options_.readers; ++i) {
    Reader& reader = writers_.readers[i];
    if (reader.registered) continue;
    reader = {std::move(name), true};
    return ReaderSlot{i};
  }
  return absl::ResourceExhaustedError(
      absl::StrCat("reader \"", name, "\" refused: ", options_.readers,
                   " readers are registered, limit ", options_.readers));
}

absl::Status VersionTable::UnregisterReader(ReaderSlot slot) {
  const std::lock_guard lock(mutex_);
  if (slot.index >= options_.readers || !writers_.readers[slot.index].registered) {
    return absl::NotFoundError(absl::StrCat("reader ", slot.index, " is not registered"));
  }
  const Pin* const first = pins_.get() + std::size_t{slot.index} * pin_stride_;
  for (uint32_t i = 0; i < options_.pins_per_reader; ++i) {
    if (first[i].cell.load(std::memory_order_acquire) == 0) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("reader \"", writers_.readers[slot.index].name, "\" still holds a handle"));
  }
  writers_.readers[slot.index].registered = false;
  return absl::OkStatus();
}

}  // namespace automot::context
