#include "services/planning/lane/context_stream.h"

#include <grpcpp/support/proto_buffer_writer.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/conversion/snapshot_header.h"
#include "common/conversion/snapshot_trailer.h"
#include "common/rpc/status_conversion.h"

namespace automot::planning {
namespace {

constexpr char kMethod[] = "/automot.v1.ReasoningService/SubscribeContexts";

v1::SubscribeContextsRequest RequestOf(const context::AttachRequest& attach) {
  v1::SubscribeContextsRequest request;
  request.set_session(attach.session_name);
  request.set_episode(attach.episode);
  request.set_epoch(attach.epoch);
  request.set_selection(attach.want_layers ? v1::CONTEXT_SELECTION_FULL
                                           : v1::CONTEXT_SELECTION_DECISIONS);
  request.set_reasoning_rate_hz(attach.reasoning_rate_hz);
  request.set_layout(conversion::KvLayoutToProto(attach.layout_kind));
  request.set_model_revision(attach.model_revision);
  request.set_lossless(attach.lossless);
  return request;
}

grpc::ByteBuffer Serialize(const v1::SubscribeContextsRequest& request) {
  const std::string bytes = request.SerializeAsString();
  const grpc::Slice slice(bytes);
  return {&slice, 1};
}

}  // namespace

ContextStream::ContextStream(CompletionThread* thread, context::KvBufferPool* pool,
                             const context::AttachRequest& request, Events events)
    : thread_(thread), assembler_(pool), request_(RequestOf(request)), events_(std::move(events)) {
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

void ContextStream::Cancel() {
  own_status_ = absl::CancelledError("detached");
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
      attach_timer_.Cancel();
      return events_.on_attached(message.attached());
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
          absl::Status(static_cast<absl::StatusCode>(failed.code()), failed.message()), false);
    }
    case v1::SubscribeContextsResponse::kSharedLayers:  // not asked for
    case v1::SubscribeContextsResponse::kChunk:         // parsed apart
    case v1::SubscribeContextsResponse::EVENT_NOT_SET:
      return;  // an event of a newer producer
  }
}

void ContextStream::TakeHeader(const v1::SnapshotHeader& proto) {
  skipping_ = false;
  chunks_ = 0;
  capture_time_us_ = proto.capture_time_us();
  if (proto.id().session() != expected_.session_name) {
    return Refuse(
        absl::InvalidArgumentError(absl::StrCat("header.id.session is '", proto.id().session(),
                                                "'; expected '", expected_.session_name, "'")));
  }
  const absl::StatusOr<context::SnapshotHeader> header =
      conversion::SnapshotHeaderFromProto(proto, expected_.session);
  if (!header.ok()) return Refuse(header.status());
  if (absl::Status status = assembler_.Begin(*header, expected_); !status.ok()) Refuse(status);
}

void ContextStream::TakeChunk(const ChunkMessage& message) {
  if (skipping_) return;
  ++chunks_;
  if (absl::Status status = assembler_.Add(message.chunk, message.pieces); !status.ok()) {
    Refuse(status);
  }
}

void ContextStream::TakeTrailer(const v1::SnapshotTrailer& proto) {
  if (skipping_) return;
  if (proto.chunk_count() != chunks_) {
    return Refuse(absl::DataLossError(absl::StrCat("trailer.chunk_count is ", proto.chunk_count(),
                                                   "; ", chunks_, " chunks came")));
  }
  const absl::StatusOr<context::SnapshotTrailer> trailer =
      conversion::SnapshotTrailerFromProto(proto);
  if (!trailer.ok()) return Refuse(trailer.status());
  absl::StatusOr<context::SnapshotPtr> snapshot = assembler_.Finish(*trailer);
  if (!snapshot.ok()) return Refuse(snapshot.status());
  events_.on_snapshot(*std::move(snapshot));
}

void ContextStream::Refuse(const absl::Status& why) {
  assembler_.Abort();
  skipping_ = true;
  events_.on_failed(capture_time_us_, why, true);
}

}  // namespace automot::planning
