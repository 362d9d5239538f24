// The recorder behind --record: puts what the engine tells into a bounded queue, from which a
// thread of its own writes a recording (docs/recording.md).
//
// Threads: the recorder's methods hold a mutex for the length of a push; storage is only touched by
// the thread `recorder`. Where the queue is full, a session's records end there: that is counted,
// said in the recording, and nothing is held up. Where the budget is spent or the disk fails, the
// recording ends the same way for every session.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "automot/v1/recording.pb.h"
#include "common/recording/record_folder.h"
#include "common/time/clock.h"
#include "services/planning/plan_recorder.h"
#include "services/planning/planning_engine.h"
#include "services/planning/recording/recording_stats.h"

namespace automot::planning {

class PlanRecording final : public PlanRecorder {
 public:
  struct Options {
    std::string folder;
    recording::RecordFolderWriter::Options files;
    bool snapshots = true;                      // keys and values, not only headers
    uint64_t queue_bytes = uint64_t{64} << 20;  // of requests and answers not yet written
    // Keys and values not yet written, whose buffers are held; one snapshot always has room.
    uint64_t snapshot_bytes = uint64_t{512} << 20;
  };

  // `start` says what serves; its fields about files are filled in. `clock` must outlive the
  // recording. Errors name the path and what the system said.
  static absl::StatusOr<std::unique_ptr<PlanRecording>> Start(const Options& options,
                                                              v1::RecordingStart start,
                                                              const Clock* clock);
  // Writes what is queued, and the end.
  ~PlanRecording() override;

  RecordingStats stats() const;
  const std::string& run_folder() const { return run_folder_; }

  bool wants_requests() const override { return !ended_.load(std::memory_order_relaxed); }
  void OnSessionOpened(const Session& session, uint64_t lease) override;
  void OnSessionReset(const Session& session, uint32_t episode) override;
  void OnSessionClosed(const Session& session) override;
  void OnAttached(const Session& session, uint32_t episode, uint64_t epoch) override;
  void OnSnapshot(const Session& session, const context::SnapshotPtr& snapshot) override;
  void OnContextPinned(const Session& session, const SnapshotId& id, SessionTimeUs ttl_us) override;
  void OnContextReleased(const Session& session, uint64_t context_lease) override;
  void OnPlanTaken(const Session& session, const PlanCall& call,
                   const absl::Status& status) override;
  void OnPlanEnded(const PlanWork& work, const absl::Status& status) override;

 private:
  // A record on its way to the thread that writes it.
  struct Waiting {
    v1::RecordingEntry entry;
    std::shared_ptr<const std::string> request;  // of a plan taken in, encoded
    std::optional<PlanCall> call;                // the same, where it did not come encoded
    context::SnapshotPtr snapshot;               // with its keys and values
    std::string session_name;                    // of the snapshot
    uint64_t bytes = 0;                          // counted in the queue
  };

  PlanRecording(const Options& options, v1::RecordingStart start, const Clock* clock);
  void Put(uint64_t session_key, Waiting waiting);
  void Drop(uint64_t session_key) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // Recorder's thread.
  void Run();
  std::optional<Waiting> Next();
  void Write(Waiting& waiting);
  absl::Status WriteEntry(v1::RecordingEntry* entry);
  absl::Status WriteSnapshot(const Waiting& waiting);
  void EndRecording(const absl::Status& why);

  const Options options_;
  const v1::RecordingStart start_;
  const Clock* const clock_;
  const absl::Duration began_;
  std::string run_folder_;
  std::optional<recording::RecordFolderWriter> files_;  // recorder's thread, once running

  std::atomic<bool> ended_{false};  // budget or disk: nothing more is written
  std::atomic<uint64_t> written_{0}, bytes_{0};
  std::atomic<uint64_t> dropped_{0}, omitted_{0};

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Waiting> queue_ ABSL_GUARDED_BY(mutex_);
  uint64_t queued_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t queued_snapshot_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::flat_hash_set<uint64_t> broken_ ABSL_GUARDED_BY(mutex_);  // sessions that lost a record
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;

  uint64_t next_index_ = 1;  // recorder's thread
  std::thread thread_;
};

}  // namespace automot::planning
