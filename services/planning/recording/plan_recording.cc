#include "services/planning/recording/plan_recording.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/concurrency/thread_placement.h"
#include "common/conversion/snapshot_header.h"
#include "common/logging/log.h"
#include "common/status/status_macros.h"
#include "services/planning/handlers/plan_conversion.h"
#include "services/planning/handlers/session_conversion.h"
#include "services/planning/recording/snapshot_entries.h"
#include "services/planning/session.h"

namespace automot::planning {
namespace {

constexpr uint32_t kFormatVersion = 1;
constexpr uint64_t kEntryOverheadBytes = 512;   // of a record in the queue
constexpr uint64_t kEndBytes = uint64_t{4096};  // kept back for what ends a recording

// Decoded pictures and points that a call shares with its session.
uint64_t BytesOf(const Observation& observation) {
  uint64_t bytes = 0;
  for (const CameraFrame& frame : observation.camera_frames) bytes += frame.image->pixels.size();
  if (observation.lidar && observation.lidar->points != nullptr) {
    bytes += observation.lidar->points->xyz.size() * sizeof(float);
  }
  return bytes;
}

uint64_t KvBytes(const context::SnapshotPtr& snapshot) {
  return snapshot == nullptr ? 0 : snapshot->kv.bytes().size();
}

bool Ticked(const PlanWork& work, const absl::Status& status) {
  switch (work.result.failure) {
    case PlanFailure::kNone:
      return status.ok();
    case PlanFailure::kExpired:
    case PlanFailure::kNoContext:
    case PlanFailure::kContextNotFound:
    case PlanFailure::kContextTooOld:
    case PlanFailure::kExpert:
      return true;
    default:
      return false;
  }
}

// The request of a call that came over another contract.
void CallToProto(const PlanCall& call, v1::PlanTaken* taken) {
  PlanCallToProto(call, taken->mutable_request());
  for (size_t i = 0; i < call.observation.camera_frames.size(); ++i) {
    if (call.observation.camera_frames[i].was_jpeg) {
      taken->add_decoded_jpegs(static_cast<uint32_t>(i));
    }
  }
}

}  // namespace

PlanRecording::PlanRecording(const Options& options, v1::RecordingStart start, const Clock* clock)
    : options_(options), start_(std::move(start)), clock_(clock), began_(clock->Now()) {}

absl::StatusOr<std::unique_ptr<PlanRecording>> PlanRecording::Start(const Options& options,
                                                                    v1::RecordingStart start,
                                                                    const Clock* clock) {
  start.set_format_version(kFormatVersion);
  start.set_snapshots_recorded(options.snapshots);
  std::unique_ptr<PlanRecording> made(new PlanRecording(options, std::move(start), clock));
  PlanRecording* const raw = made.get();
  AUTOMOT_ASSIGN_OR_RETURN(made->files_, recording::RecordFolderWriter::Create(
                                             options.folder, options.files, [raw](uint32_t number) {
                                               v1::RecordingEntry entry;
                                               entry.set_index(raw->next_index_++);
                                               *entry.mutable_start() = raw->start_;
                                               entry.mutable_start()->set_file_number(number);
                                               return entry.SerializeAsString();
                                             }));
  AUTOMOT_RETURN_IF_ERROR(made->files_->Flush());
  made->run_folder_ = made->files_->run_folder();
  made->thread_ = std::thread([raw] { raw->Run(); });
  return made;
}

PlanRecording::~PlanRecording() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

RecordingStats PlanRecording::stats() const {
  return {written_.load(std::memory_order_relaxed), dropped_.load(std::memory_order_relaxed),
          omitted_.load(std::memory_order_relaxed), bytes_.load(std::memory_order_relaxed)};
}

// The session's records end here: a later one could not be replayed without this one.
void PlanRecording::Drop(uint64_t session_key) {
  dropped_.fetch_add(1, std::memory_order_relaxed);
  if (!broken_.insert(session_key).second) return;
  Waiting marker;  // one a session: needs no place of its own in the bound
  marker.entry.set_session_key(session_key);
  marker.entry.set_elapsed_us(absl::ToInt64Microseconds(clock_->Now() - began_));
  marker.entry.mutable_records_dropped()->set_reason("queue_full");
  queue_.push_back(std::move(marker));
}

void PlanRecording::Put(uint64_t session_key, Waiting waiting) {
  waiting.entry.set_session_key(session_key);
  waiting.entry.set_elapsed_us(absl::ToInt64Microseconds(clock_->Now() - began_));
  waiting.bytes += kEntryOverheadBytes + waiting.entry.ByteSizeLong();
  if (waiting.request != nullptr) waiting.bytes += waiting.request->size();
  if (waiting.call) waiting.bytes += BytesOf(waiting.call->observation);
  {
    const std::lock_guard lock(mutex_);
    const bool full = queued_bytes_ + waiting.bytes > options_.queue_bytes;
    if (ended_.load(std::memory_order_relaxed)) {
      dropped_.fetch_add(1, std::memory_order_relaxed);
      return;
    }
    if (full || broken_.contains(session_key)) {
      Drop(session_key);
    } else {
      queued_bytes_ += waiting.bytes;
      queued_snapshot_bytes_ += KvBytes(waiting.snapshot);
      queue_.push_back(std::move(waiting));
    }
  }
  wake_.notify_one();
}

void PlanRecording::OnSessionOpened(const Session& session, uint64_t lease) {
  Waiting waiting;
  v1::SessionOpened* opened = waiting.entry.mutable_session_opened();
  opened->set_session(session.name);
  opened->set_lease(lease);
  SessionOptionsToProto(session.options, opened->mutable_options());
  Put(session.key, std::move(waiting));
}

void PlanRecording::OnSessionReset(const Session& session, uint32_t episode) {
  Waiting waiting;
  waiting.entry.mutable_session_reset()->set_episode(episode);
  Put(session.key, std::move(waiting));
}

void PlanRecording::OnSessionClosed(const Session& session) {
  Waiting waiting;
  waiting.entry.mutable_session_closed();
  Put(session.key, std::move(waiting));
}

void PlanRecording::OnAttached(const Session& session, uint32_t episode, uint64_t epoch) {
  Waiting waiting;
  waiting.entry.mutable_producer_attached()->set_episode(episode);
  waiting.entry.mutable_producer_attached()->set_epoch(epoch);
  Put(session.key, std::move(waiting));
}

void PlanRecording::OnSnapshot(const Session& session, const context::SnapshotPtr& snapshot) {
  Waiting waiting;
  bool room = false;
  {
    const std::lock_guard lock(mutex_);
    room = queued_snapshot_bytes_ == 0 ||
           queued_snapshot_bytes_ + snapshot->kv.bytes().size() <= options_.snapshot_bytes;
  }
  if (options_.snapshots && room) {
    waiting.snapshot = snapshot;
    waiting.session_name = session.name;
    return Put(session.key, std::move(waiting));
  }
  if (options_.snapshots) omitted_.fetch_add(1, std::memory_order_relaxed);
  v1::SnapshotOmitted* omitted = waiting.entry.mutable_snapshot_omitted();
  omitted->set_reason(options_.snapshots ? v1::OMISSION_REASON_QUEUE_FULL
                                         : v1::OMISSION_REASON_SWITCHED_OFF);
  conversion::SnapshotHeaderToProto(snapshot->header, session.name, omitted->mutable_header());
  Put(session.key, std::move(waiting));
}

void PlanRecording::OnContextPinned(const Session& session, const SnapshotId& id,
                                    SessionTimeUs ttl_us) {
  Waiting waiting;
  v1::ContextPinned* pinned = waiting.entry.mutable_context_pinned();
  SnapshotIdToProto(id, session.name, pinned->mutable_snapshot());
  pinned->set_ttl_us(ttl_us);
  Put(session.key, std::move(waiting));
}

void PlanRecording::OnContextReleased(const Session& session, uint64_t context_lease) {
  Waiting waiting;
  waiting.entry.mutable_context_released()->set_context_lease(context_lease);
  Put(session.key, std::move(waiting));
}

void PlanRecording::OnPlanTaken(const Session& session, const PlanCall& call,
                                const absl::Status& status) {
  if (absl::IsNotFound(status)) return;  // closed meanwhile: nothing was done
  Waiting waiting;
  PlanStatusToProto({status, absl::ZeroDuration(), nullptr},
                    waiting.entry.mutable_plan_taken()->mutable_status());
  waiting.request = call.encoded;
  if (waiting.request == nullptr) waiting.call = call;
  Put(session.key, std::move(waiting));
}

void PlanRecording::OnPlanEnded(const PlanWork& work, const absl::Status& status) {
  Waiting waiting;
  v1::PlanEnded* ended = waiting.entry.mutable_plan_ended();
  ended->set_lease(work.lease);
  ended->set_sequence(work.sequence);
  PlanStatusToProto({status, absl::ZeroDuration(), nullptr}, ended->mutable_status());
  ended->set_ticked(Ticked(work, status));
  SnapshotIdToProto(work.result.newest_seen, work.session->name, ended->mutable_newest_seen());
  if (status.ok()) {
    PlanResponseToProto(work, start_.model_revision(), clock_->Now(), ended->mutable_response());
  }
  Put(work.session->key, std::move(waiting));
}

// Hands what is written to the system before it waits: a killed process loses what is queued, not
// what is written. Empty at the end.
std::optional<PlanRecording::Waiting> PlanRecording::Next() {
  std::unique_lock lock(mutex_);
  if (queue_.empty()) {
    lock.unlock();
    if (!ended_.load(std::memory_order_relaxed)) {
      const absl::Status flushed = files_->Flush();
      if (!flushed.ok()) EndRecording(flushed);
    }
    lock.lock();
  }
  wake_.wait(lock, [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return stopping_ || !queue_.empty();
  });
  if (queue_.empty()) return std::nullopt;
  Waiting waiting = std::move(queue_.front());
  queue_.pop_front();
  return waiting;
}

void PlanRecording::Run() {
  NameThread("recorder");
  LowerThreadPriority(10);
  while (std::optional<Waiting> waiting = Next()) {
    Write(*waiting);
    const std::lock_guard lock(mutex_);
    queued_bytes_ -= waiting->bytes;
    queued_snapshot_bytes_ -= KvBytes(waiting->snapshot);
  }
  if (ended_.load(std::memory_order_relaxed)) return;
  v1::RecordingEntry end;
  end.mutable_end()->set_dropped_records(dropped_.load(std::memory_order_relaxed));
  absl::Status status = WriteEntry(&end);
  status.Update(files_->Flush());
  if (!status.ok()) EndRecording(status);
}

void PlanRecording::Write(Waiting& waiting) {
  if (ended_.load(std::memory_order_relaxed)) {
    dropped_.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  v1::RecordingEntry& entry = waiting.entry;
  absl::Status status;
  if (waiting.snapshot != nullptr) {
    status = WriteSnapshot(waiting);
  } else {
    if (waiting.call) CallToProto(*waiting.call, entry.mutable_plan_taken());
    if (waiting.request != nullptr) {
      entry.mutable_plan_taken()->mutable_request()->ParseFromString(*waiting.request);
    }
    status = files_->HasRoom(entry.ByteSizeLong() + kEndBytes, 3)
                 ? WriteEntry(&entry)
                 : absl::ResourceExhaustedError("the budget (--record-budget-mib) is spent");
  }
  if (!status.ok()) EndRecording(status);
}

absl::Status PlanRecording::WriteSnapshot(const Waiting& waiting) {
  const context::ContextSnapshot& snapshot = *waiting.snapshot;
  if (!files_->HasRoom(snapshot.kv.bytes().size() + kSnapshotRecordsOverhead + kEndBytes,
                       SnapshotRecordCount(snapshot) + 3)) {
    return absl::ResourceExhaustedError("the budget (--record-budget-mib) is spent");
  }
  return WriteSnapshotEntries(snapshot, waiting.session_name, [&](v1::RecordingEntry* entry) {
    entry->set_session_key(waiting.entry.session_key());
    entry->set_elapsed_us(waiting.entry.elapsed_us());
    return WriteEntry(entry);
  });
}

absl::Status PlanRecording::WriteEntry(v1::RecordingEntry* entry) {
  const uint64_t before = files_->bytes();
  AUTOMOT_RETURN_IF_ERROR(files_->RotateWhereFull());  // the new file's start takes a number
  entry->set_index(next_index_);
  AUTOMOT_RETURN_IF_ERROR(files_->Append(entry->SerializeAsString()));
  ++next_index_;
  written_.fetch_add(1, std::memory_order_relaxed);
  bytes_.fetch_add(files_->bytes() - before, std::memory_order_relaxed);
  return absl::OkStatus();
}

// Says so in the recording where it still can.
void PlanRecording::EndRecording(const absl::Status& why) {
  if (ended_.exchange(true)) return;
  dropped_.fetch_add(1, std::memory_order_relaxed);
  AUTOMOT_LOG(kError, "recording_ended", {{"folder", run_folder_}, {"why", why.ToString()}});
  v1::RecordingEntry entry;
  entry.mutable_records_dropped()->set_reason(absl::IsResourceExhausted(why) ? "budget" : "error");
  WriteEntry(&entry).IgnoreError();
  files_->Flush().IgnoreError();
}

}  // namespace automot::planning
