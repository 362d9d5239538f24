#include "services/planning/lane/context_stream.h"

#include <grpcpp/support/proto_buffer_writer.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/conversion/snapshot_header.h"
#include "common/conversion/snapshot_trailer.h"
#include "common/rpc/status_conversion.h"
#include "common/status/status_macros.h"

namespace automot::planning {
namespace {

constexpr char kMethod[] = "/automot.v1.ReasoningService/SubscribeContexts";

v1::SubscribeContextsRequest RequestOf(const context::AttachRequest& attach,
                                       shared_memory::RegionClient* regions) {
  v1::SubscribeContextsRequest request;
  request.set_session(attach.session_name);
  request.set_episode(attach.episode);
  request.set_epoch(attach.epoch);
  request.set_selection(attach.want_layers ? v1::CONTEXT_SELECTION_FULL
                                           : v1::CONTEXT_SELECTION_DECISIONS);
  request.set_reasoning_rate_hz(attach.reasoning_rate_hz);
  request.set_staleness_budget_us(attach.staleness_budget_us);
  request.set_layout(conversion::KvLayoutToProto(attach.layout_kind));
  request.set_model_revision(attach.model_revision);
  if (attach.element_type) {
    request.set_element_type(conversion::ElementTypeToProto(*attach.element_type));
  }
  request.set_lossless(attach.lossless);
  if (regions != nullptr) {
    request.set_shared_memory_token(regions->token());
    request.set_shared_memory_subscription(regions->MintSubscription());
  }
  return request;
}

grpc::ByteBuffer Serialize(const v1::SubscribeContextsRequest& request) {
  const std::string bytes = request.SerializeAsString();
  const grpc::Slice slice(bytes);
  return {&slice, 1};
}

shared_memory::RegionUse UseOf(const v1::SharedPlace& place) {
  return {.region = place.region(),
          .generation = place.generation(),
          .offset_bytes = place.offset_bytes(),
          .length_bytes = place.length_bytes()};
}

}  // namespace

ContextStream::ContextStream(CompletionThread* thread, context::KvBufferPool* pool,
                             std::shared_ptr<shared_memory::RegionClient> regions,
                             const context::AttachRequest& request, Events events)
    : thread_(thread),
      assembler_(pool),
      regions_(std::move(regions)),
      request_(RequestOf(request, regions_.get())),
      events_(std::move(events)) {
  expected_.session = request.session;
  expected_.session_name = request.session_name;
  expected_.episode = request.episode;
  expected_.epoch = request.epoch;
  expected_.model_revision = request.model_revision;
}

void ContextStream::Start(const std::shared_ptr<grpc::Channel>& channel,
                          absl::Duration attach_deadline) {
  // The call may outlive the link that began it: completions own the stream.
  auto self = shared_from_this();
  stream_ = grpc::GenericStub(channel).PrepareCall(&call_, kMethod, thread_->queue());
  attach_timer_.Set(*thread_, attach_deadline, [self, attach_deadline] {
    self->own_status_ = absl::DeadlineExceededError(absl::StrCat(
        "the producer did not attach within ", absl::ToDoubleSeconds(attach_deadline), " s"));
    self->call_.TryCancel();
  });
  stream_->StartCall(CompletionThread::Tag([self](bool started) {
    if (!started) return self->End();
    self->stream_->WriteLast(
        Serialize(self->request_), grpc::WriteOptions(),
        CompletionThread::Tag([self](bool written) { written ? self->Read() : self->End(); }));
  }));
}

void ContextStream::Cancel(absl::Status why) {
  own_status_ = std::move(why);
  call_.TryCancel();
}

void ContextStream::Read() {
  if (thread_->stopped()) return End();
  stream_->Read(&message_,
                CompletionThread::Tag([self = shared_from_this()](bool ok) { self->OnRead(ok); }));
}

void ContextStream::OnRead(bool ok) {
  if (!ok) return End();
  events_.on_bytes(message_.Length());
  absl::StatusOr<SubscribeMessage> message = ParseSubscribeMessage(message_);
  if (!message.ok()) {
    // What follows cannot be trusted either.
    own_status_ = message.status();
    call_.TryCancel();
    return End();
  }
  Take(*std::move(message));
  message_.Clear();
  Read();
}

void ContextStream::End() {
  attach_timer_.Cancel();
  assembler_.Abort();
  if (regions_ != nullptr) {
    regions_->EndSubscription(request_.shared_memory_subscription(), shared_uses_);
  }
  if (thread_->stopped()) {
    events_ = {};  // the link, which holds the stream
    return;
  }
  stream_->Finish(&final_status_, CompletionThread::Tag([self = shared_from_this()](bool) {
    const absl::Status theirs = rpc::FromGrpcStatus(self->final_status_);
    absl::Status why = !self->own_status_.ok() ? self->own_status_ : theirs;
    if (why.ok()) why = absl::UnavailableError("the producer ended the stream");
    const Events events = std::exchange(self->events_, {});
    events.on_closed(why);
  }));
}

void ContextStream::Take(SubscribeMessage message) {
  if (const auto* chunk = std::get_if<ChunkMessage>(&message)) return TakeChunk(*chunk);
  TakeEvent(std::get<v1::SubscribeContextsResponse>(message));
}

void ContextStream::TakeEvent(const v1::SubscribeContextsResponse& message) {
  switch (message.event_case()) {
    case v1::SubscribeContextsResponse::kAttached:
      return TakeAttached(message.attached());
    case v1::SubscribeContextsResponse::kHeader:
      return TakeHeader(message.header());
    case v1::SubscribeContextsResponse::kTrailer:
      return TakeTrailer(message.trailer());
    case v1::SubscribeContextsResponse::kDraining:
      return events_.on_draining();
    case v1::SubscribeContextsResponse::kRefreshFailed: {
      assembler_.Abort();
      const v1::RefreshFailed& failed = message.refresh_failed();
      return events_.on_failed(
          failed.capture_time_us(),
          absl::Status(static_cast<absl::StatusCode>(failed.code()), failed.message()), "");
    }
    case v1::SubscribeContextsResponse::kSharedLayers:
      return TakeSharedLayers(message.shared_layers());
    case v1::SubscribeContextsResponse::kChunk:  // parsed apart
    case v1::SubscribeContextsResponse::EVENT_NOT_SET:
      return;  // an event of a newer producer
  }
}

void ContextStream::TakeAttached(const v1::Attached& attached) {
  attach_timer_.Cancel();
  if (attached.shared_memory_subscription() != request_.shared_memory_subscription()) {
    return Cancel(absl::FailedPreconditionError(
        "the producer took the subscription, but not for the shared-memory lane"));
  }
  shared_limit_ = attached.shared_memory_snapshots();
  events_.on_attached(attached);
}

void ContextStream::TakeHeader(const v1::SnapshotHeader& proto) {
  skipping_ = false;
  chunks_ = 0;
  header_at_ = layer_at_ = clock_.Now();
  capture_time_us_ = proto.capture_time_us();
  place_refusal_ = shared_memory::PlaceRefusal::kNone;
  lent_ = regions_ != nullptr && proto.has_shared_place();
  if (lent_) ++shared_uses_;
  const absl::Status begun = Begin(proto);
  // Whatever happens to a lent snapshot, its use is given back: by the buffer, or here.
  if (lent_) regions_->Return(UseOf(proto.shared_place()));
  if (!begun.ok()) Refuse(begun);
}

absl::Status ContextStream::Begin(const v1::SnapshotHeader& proto) {
  if (proto.id().session() != expected_.session_name) {
    return absl::InvalidArgumentError(absl::StrCat("header.id.session is '", proto.id().session(),
                                                   "'; expected '", expected_.session_name, "'"));
  }
  AUTOMOT_ASSIGN_OR_RETURN(const context::SnapshotHeader header,
                           conversion::SnapshotHeaderFromProto(proto, expected_.session));
  if (regions_ == nullptr) return assembler_.Begin(header, expected_);
  if (!proto.has_shared_place()) {
    return absl::DataLossError("header.shared_place is missing in the shared-memory lane");
  }
  return BeginShared(header, proto.shared_place());
}

absl::Status ContextStream::BeginShared(const context::SnapshotHeader& header,
                                        const v1::SharedPlace& place) {
  const uint64_t subscription = request_.shared_memory_subscription();
  // Before the loan: near the producer's limits it is copied, and given back with the trailer.
  const bool keep = regions_->RoomToKeep(subscription, header.layout.total_bytes(), shared_limit_);
  copying_ = !keep;
  lent_ = false;
  AUTOMOT_ASSIGN_OR_RETURN(
      context::KvBuffer mapped,
      regions_->Borrow(subscription, UseOf(place), header.layout, &place_refusal_));
  return assembler_.BeginMapped(header, expected_, std::move(mapped), keep);
}

void ContextStream::TakeSharedLayers(const v1::SharedLayers& layers) {
  for (const v1::SharedChunk& shared : layers.chunks()) {
    if (skipping_) return;
    ++chunks_;
    const context::ChunkSpec chunk = {
        .layer = shared.layer(),
        .tensor = shared.values() ? context::TensorKind::kValue : context::TensorKind::kKey,
        .offset_bytes = shared.offset_bytes(),
        .bytes = shared.length_bytes(),
        .hash = shared.hash()};
    const absl::Status status = assembler_.AddMapped(chunk);
    if (!status.ok()) {
      Refuse(status);
    } else {
      layer_at_ = clock_.Now();
      events_.on_bytes(chunk.bytes);
      if (copying_) events_.on_copied(chunk.bytes);
    }
  }
}

void ContextStream::TakeChunk(const ChunkMessage& message) {
  if (skipping_) return;
  ++chunks_;
  const bool reused = message.reuse_version != 0;
  const absl::Status status =
      reused ? assembler_.AddReused(message.chunk, message.reuse_version, held_.get())
             : assembler_.Add(message.chunk, message.pieces);
  if (!status.ok()) return Refuse(status);
  layer_at_ = clock_.Now();
  events_.on_copied(message.chunk.bytes);
  if (reused) events_.on_reused(message.chunk.bytes);
}

void ContextStream::TakeTrailer(const v1::SnapshotTrailer& proto) {
  if (skipping_) return;
  if (proto.chunk_count() != chunks_) {
    return Refuse(absl::DataLossError(absl::StrCat("trailer.chunk_count is ", proto.chunk_count(),
                                                   "; ", chunks_, " chunks came")));
  }
  absl::StatusOr<context::SnapshotTrailer> trailer = conversion::SnapshotTrailerFromProto(proto);
  if (!trailer.ok()) return Refuse(trailer.status());
  context::SnapshotTimings& timings = trailer->timings;
  if (timings.layers_ms) {
    // Two durations, each of one clock; the header's own way here counts as hidden.
    const double here_ms = absl::ToDoubleMilliseconds(layer_at_ - header_at_);
    timings.exposed_ms = std::max(0.0, here_ms - *timings.layers_ms);
  }
  absl::StatusOr<context::SnapshotPtr> snapshot = assembler_.Finish(*trailer);
  if (!snapshot.ok()) return Refuse(snapshot.status());
  if (regions_ == nullptr) held_ = *snapshot;
  events_.on_snapshot(*std::move(snapshot));
}

void ContextStream::Refuse(const absl::Status& why) {
  const std::string_view refusal = RefusalName();
  assembler_.Abort();
  held_.reset();
  skipping_ = true;
  events_.on_failed(capture_time_us_, why, refusal);
}

std::string_view ContextStream::RefusalName() const {
  if (place_refusal_ != shared_memory::PlaceRefusal::kNone) {
    return shared_memory::ToString(place_refusal_);
  }
  const context::AssemblyRefusal refusal = assembler_.last_refusal();
  const bool assembled =
      refusal != context::AssemblyRefusal::kNone && refusal != context::AssemblyRefusal::kReplaced;
  return assembled ? context::ToString(refusal) : "malformed";
}

}  // namespace automot::planning
