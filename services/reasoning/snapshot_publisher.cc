#include "services/reasoning/snapshot_publisher.h"

#include <utility>

#include "common/rpc/status_conversion.h"
#include "services/reasoning/snapshot_wire.h"

namespace automot::reasoning {

SnapshotPublisher::SnapshotPublisher(Options options)
    : options_(WithLoans(std::move(options))),
      outbox_(options_.outbox),
      pacer_(options_.layer_streaming, options_.clock) {
  if (options_.chaos != nullptr) chaos_.emplace(options_.chaos, options_.outbox.session_name);
  if (options_.loans != nullptr) options_.loans->NotifyOnRoom([this] { OnLoanRoom(); });
}

SnapshotPublisher::Options SnapshotPublisher::WithLoans(Options options) {
  if (options.loans != nullptr) {
    options.outbox.lend = [loans = options.loans,
                           on_loan = options.on_loan](const context::SnapshotPtr& snapshot) {
      const auto outcome = loans->Lend(snapshot);
      if (on_loan) on_loan(outcome == shared_memory::LendOutcome::kLent);
      return outcome;
    };
  }
  return options;
}

void SnapshotPublisher::Greet(const v1::Attached& attached) {
  absl::MutexLock lock(&mutex_);
  notice_.emplace();
  *notice_->mutable_attached() = attached;
}

void SnapshotPublisher::Close(const absl::Status& status) {
  absl::MutexLock lock(&mutex_);
  CloseLocked(status);
}

void SnapshotPublisher::CloseLocked(const absl::Status& status) {
  if (close_) return;
  close_ = status;
  notice_.reset();
  outbox_.Clear();
  Pump();
}

void SnapshotPublisher::OnLayers(const context::SnapshotPtr& building, int layers_ready) {
  absl::MutexLock lock(&mutex_);
  if (close_) return;
  const int layers = building->header.layout.layers;
  const bool leave = pacer_.OnLayers(building->header.id.version, layers_ready, layers);
  if (layers_ready == layers && options_.on_streamed) options_.on_streamed(pacer_.mode());
  if (!leave) return;
  outbox_.OnLayers(building, layers_ready);
  Pump();
}

void SnapshotPublisher::OnSnapshot(context::SnapshotPtr snapshot) {
  absl::MutexLock lock(&mutex_);
  if (close_) return;
  const uint64_t replaced = outbox_.replaced();
  outbox_.OnSnapshot(snapshot);
  if (outbox_.replaced() != replaced && options_.on_replaced) options_.on_replaced();
  Pump();
}

void SnapshotPublisher::OnRefreshFailed(uint64_t, SessionTimeUs capture_time_us,
                                        const absl::Status& why) {
  absl::MutexLock lock(&mutex_);
  if (close_) return;
  outbox_.OnRefreshFailed(capture_time_us, why);
  Pump();
}

void SnapshotPublisher::OnLinkState(context::LinkState state, const absl::Status& why) {
  absl::MutexLock lock(&mutex_);
  if (close_) return;
  if (state == context::LinkState::kDown) return CloseLocked(why);
  if (state == context::LinkState::kDraining) {
    // Sent between snapshots like any notice; an `attached` that still waits is older and stays.
    v1::SubscribeContextsResponse draining;
    draining.mutable_draining()->set_deadline_ms(
        absl::ToInt64Milliseconds(options_.drain_deadline));
    if (!notice_) notice_ = std::move(draining);
  }
  Pump();
}

std::optional<grpc::ByteBuffer> SnapshotPublisher::NextMessage() {
  if (notice_) {
    const v1::SubscribeContextsResponse notice = *std::exchange(notice_, std::nullopt);
    return Serialize(notice);
  }
  if (chaos_) return NextOfChaos();
  const std::optional<OutboxItem> item = NextItem();
  if (!item) return std::nullopt;
  return Serialize(*item, options_.outbox.session_name);
}

void SnapshotPublisher::Time(OutboxItem& item) {
  chunk_in_flight_ =
      std::holds_alternative<OutboxChunk>(item) || std::holds_alternative<OutboxSharedLayers>(item);
  if (const auto* header = std::get_if<OutboxHeader>(&item)) {
    pacer_.OnHeader(header->snapshot->header.id.version);
  } else if (auto* trailer = std::get_if<OutboxTrailer>(&item)) {
    pacer_.OnTrailer(trailer->snapshot->header.id.version, &trailer->trailer.timings);
  }
}

std::optional<OutboxItem> SnapshotPublisher::NextItem() {
  outbox_.SetHeld(held_version_.load(std::memory_order_acquire));
  pacer_.OnChunkBegun();
  std::optional<OutboxItem> item = outbox_.Next();
  if (item) {
    Time(*item);
  } else if (outbox_.borrower_gone()) {
    EndHere(absl::UnavailableError("the consumer's shared-memory connection has ended"));
  }
  return item;
}

std::optional<grpc::ByteBuffer> SnapshotPublisher::NextOfChaos() {
  for (;;) {
    if (std::optional<grpc::ByteBuffer> message = chaos_->Next()) return message;
    if (chaos_->killed()) {
      EndHere(absl::UnavailableError("chaos: the producer ends here"));
      return std::nullopt;
    }
    const std::optional<OutboxItem> item = NextItem();
    if (!item) return std::nullopt;
    chaos_->Take(*item);
  }
}

void SnapshotPublisher::EndHere(absl::Status why) {
  if (close_) return;
  close_ = std::move(why);
  outbox_.Clear();
}

void SnapshotPublisher::Pump() {
  has_room_.store(outbox_.HasRoom(), std::memory_order_release);
  if (writing_ || finished_) return;
  if (close_) {
    finished_ = true;
    Finish(rpc::ToGrpcStatus(*close_));
    return;
  }
  std::optional<grpc::ByteBuffer> message = NextMessage();
  has_room_.store(outbox_.HasRoom(), std::memory_order_release);
  if (!message && close_) return Pump();
  if (!message) return;
  writing_ = true;
  message_ = *std::move(message);
  StartWrite(&message_);
}

template <typename Work>
void SnapshotPublisher::RunAndTellRoom(Work&& work) {
  bool room_made = false;
  {
    absl::MutexLock lock(&mutex_);
    const bool had_room = has_room_.load(std::memory_order_acquire);
    work();
    room_made = !had_room && has_room_.load(std::memory_order_acquire);
  }
  if (room_made) options_.on_room();
}

void SnapshotPublisher::OnWriteDone(bool ok) {
  RunAndTellRoom([this, ok]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    writing_ = false;
    message_.Clear();
    if (std::exchange(chunk_in_flight_, false)) pacer_.OnChunkTaken();
    if (!ok) CloseLocked(absl::CancelledError("the consumer is gone"));
    Pump();
  });
}

void SnapshotPublisher::OnLoanRoom() {
  RunAndTellRoom([this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (!close_) Pump();
  });
}

void SnapshotPublisher::OnCancel() { Close(absl::CancelledError("the consumer cancelled")); }

void SnapshotPublisher::OnDone() {
  if (options_.loans != nullptr) options_.loans->Close();
  options_.on_done();
  delete this;
}

}  // namespace automot::reasoning
