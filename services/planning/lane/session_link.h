// One session's link to its reasoning producer: a subscription under one epoch, observations up,
// snapshots down, and what to do when either breaks. A later attachment of the session is another
// link, which takes the outbox over.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "automot/v1/reasoning_service.grpc.pb.h"
#include "common/context/kv_buffer_pool.h"
#include "common/context/receiver_gate.h"
#include "common/context/snapshot_channel.h"
#include "services/planning/lane/completion_thread.h"
#include "services/planning/lane/context_stream.h"
#include "services/planning/lane/endpoint_set.h"
#include "services/planning/lane/observation_outbox.h"
#include "services/planning/lane/submit_outcome.h"

namespace automot::planning {

struct LinkTimeouts {
  absl::Duration connect = absl::Seconds(3);  // of one attempt, TLS included
  absl::Duration attach = absl::Seconds(5);
  absl::Duration submit = absl::Seconds(5);
  absl::Duration first_retry = absl::Milliseconds(100);  // of connections and of attachments
  absl::Duration last_retry = absl::Milliseconds(300);   // however long the service has been away
  absl::Duration submit_retry = absl::Milliseconds(20);  // grows to last_retry while it fails
};

// Counters of all links of a channel.
struct LinkCounters {
  std::array<std::atomic<uint64_t>, context::kLinkRefusals.size()> refusals{};
  std::array<std::atomic<uint64_t>, context::kRehomeReasons.size()> rehomes{};
  std::atomic<uint64_t> submitted{0}, superseded{0}, dropped{0}, received{0}, refused{0}, bytes{0},
      copied{0}, reused{0}, reconnects{0};
  std::atomic<int> up{0}, draining{0};

  void CountRehome(context::RehomeReason reason) {
    rehomes.at(static_cast<std::size_t>(reason)).fetch_add(1, std::memory_order_relaxed);
  }
  void CountRefusal(std::string_view reason) {
    refused.fetch_add(1, std::memory_order_relaxed);
    const auto at = std::find(context::kLinkRefusals.begin(), context::kLinkRefusals.end(), reason);
    if (at == context::kLinkRefusals.end()) return;
    refusals.at(static_cast<std::size_t>(at - context::kLinkRefusals.begin()))
        .fetch_add(1, std::memory_order_relaxed);
  }
};

// What a session keeps from one attachment to the next. Thread-safe under its own mutex.
struct SessionCarry {
  explicit SessionCarry(const ObservationOutbox::Options& options) : outbox(options) {}
  absl::Mutex mutex;
  ObservationOutbox outbox ABSL_GUARDED_BY(mutex);
  uint32_t episode ABSL_GUARDED_BY(mutex) = 0;

  // Where the session is served, on the completion thread only.
  std::string home;             // address it was attached to last; empty: none yet
  std::set<std::string> avoid;  // addresses that went or did not answer since it was attached
  context::RehomeReason left_because = context::RehomeReason::kDied;

  // True where `newer` begins: what is kept belongs to the episode before.
  bool StartEpisode(uint32_t newer) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    if (newer <= episode) return false;
    episode = newer;
    outbox.Clear();
    return true;
  }
};

class SessionLink final : public std::enable_shared_from_this<SessionLink> {
 public:
  struct Environment {
    CompletionThread* thread;
    context::KvBufferPool* pool;
    LinkCounters* counters;
    LinkTimeouts timeouts;
    EndpointSet* endpoints;
  };

  SessionLink(Environment environment, const context::AttachRequest& request,
              context::SnapshotReceiver* receiver, std::shared_ptr<context::ReceiverGate> gate,
              std::shared_ptr<SessionCarry> carry);

  // Any thread.
  context::ReceiverPass& pass() { return pass_; }
  context::SnapshotReceiver* receiver() const { return receiver_; }
  const std::shared_ptr<SessionCarry>& carry() const { return carry_; }
  bool up() const { return up_.load(std::memory_order_acquire); }

  // On the completion thread.
  void Start();
  void Close();
  void SetEpisode(uint32_t episode);
  // Leaves a producer that the endpoints do not have any more.
  void OnEndpointsChanged();
  // Sends what waits in the outbox, one request at a time.
  void Pump();

 private:
  class Submission;

  ContextStream::Events StreamEvents();
  void Connect();
  bool SharesMemory() const { return request_.want_layers && endpoint_->peer != nullptr; }
  void Subscribe(std::shared_ptr<shared_memory::RegionClient> regions);
  void OnAttached();
  void OnDraining();
  void Leave(context::RehomeReason reason, const absl::Status& why);
  void NoteEndpointGone(const absl::Status& why);
  void OnClosed(const absl::Status& why);
  void OnSubmitted(const ObservationOutbox::Batch& batch, const absl::Status& status,
                   bool asked_to_wait);
  void Rest();
  void SetState(context::LinkState state, const absl::Status& why);
  void ReportFailure(SessionTimeUs capture_time_us, const absl::Status& why);
  absl::Duration RetryDelay();
  absl::Duration Jittered(absl::Duration full);

  const Environment environment_;
  context::AttachRequest request_;
  context::SnapshotReceiver* const receiver_;
  context::ReceiverPass pass_;
  const std::shared_ptr<SessionCarry> carry_;

  std::shared_ptr<ContextStream> stream_;
  EndpointPtr endpoint_;  // that the link is on, or tries
  CompletionThread::Timer retry_timer_;
  CompletionThread::Timer submit_timer_;
  std::shared_ptr<Submission> submission_;  // in flight
  uint64_t sequence_ = 0;
  int attempts_ = 0;
  int failed_submissions_ = 0;  // in a row
  bool resting_ = false;        // until the next attempt to submit
  std::minstd_rand jitter_;
  bool attached_once_ = false;
  bool leaving_ = false;  // by this side, for another endpoint
  bool closed_ = false;
  bool down_said_ = false;
  std::atomic<bool> up_{false};
  bool draining_ = false;
};

}  // namespace automot::planning
