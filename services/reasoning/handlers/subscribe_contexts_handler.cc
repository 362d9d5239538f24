#include "services/reasoning/handlers/subscribe_contexts_handler.h"

#include <grpcpp/impl/codegen/proto_utils.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "automot/v1/reasoning_service.pb.h"
#include "common/conversion/snapshot_header.h"
#include "common/rpc/status_conversion.h"
#include "common/status/status_macros.h"
#include "services/reasoning/handlers/session_name.h"
#include "services/reasoning/snapshot_publisher.h"

namespace automot::reasoning {
namespace {

constexpr std::size_t kMaxRevisionBytes = 256;

struct Subscription {
  context::AttachRequest request;
  bool listens = false;  // beside the owner, decisions only
};

absl::Status Check(const v1::SubscribeContextsRequest& request) {
  AUTOMOT_RETURN_IF_ERROR(CheckSessionName(request.session()));
  if (!v1::ContextSelection_IsValid(request.selection())) {
    return absl::InvalidArgumentError(
        absl::StrCat("selection is ", request.selection(), ", which is unknown"));
  }
  const bool decisions = request.selection() == v1::CONTEXT_SELECTION_DECISIONS;
  if (request.epoch() == 0 && !decisions) {
    return absl::InvalidArgumentError(
        "epoch is 0; it may be only with CONTEXT_SELECTION_DECISIONS");
  }
  if (request.model_revision().empty() && !decisions) {
    return absl::InvalidArgumentError(
        "model_revision is empty; it may be only with CONTEXT_SELECTION_DECISIONS");
  }
  if (request.model_revision().size() > kMaxRevisionBytes) {
    return absl::InvalidArgumentError(absl::StrCat("model_revision has ",
                                                   request.model_revision().size(),
                                                   " bytes; the limit is ", kMaxRevisionBytes));
  }
  return absl::OkStatus();
}

absl::StatusOr<Subscription> Read(const v1::SubscribeContextsRequest& proto, uint64_t consumer) {
  AUTOMOT_RETURN_IF_ERROR(Check(proto));
  Subscription subscription;
  context::AttachRequest& request = subscription.request;
  request.session = consumer;
  request.episode = proto.episode();
  request.epoch = proto.epoch();
  request.session_name = proto.session();
  request.reasoning_rate_hz = proto.reasoning_rate_hz();
  request.staleness_budget_us = proto.staleness_budget_us();
  AUTOMOT_ASSIGN_OR_RETURN(request.layout_kind, conversion::KvLayoutFromProto(proto.layout()));
  if (proto.element_type() != v1::ELEMENT_TYPE_UNSPECIFIED) {
    AUTOMOT_ASSIGN_OR_RETURN(request.element_type,
                             conversion::ElementTypeFromProto(proto.element_type()));
  }
  request.lossless = proto.lossless();
  request.want_layers = proto.selection() != v1::CONTEXT_SELECTION_DECISIONS;
  request.model_revision = proto.model_revision();
  subscription.listens = proto.epoch() == 0;
  return subscription;
}

absl::Status Parse(const grpc::ByteBuffer& bytes, v1::SubscribeContextsRequest* request) {
  grpc::ByteBuffer shared = bytes;  // by reference
  const grpc::Status parsed =
      grpc::SerializationTraits<v1::SubscribeContextsRequest>::Deserialize(&shared, request);
  if (parsed.ok()) return absl::OkStatus();
  return absl::InvalidArgumentError("the request is not a SubscribeContextsRequest");
}

// The consumer's account where it wants shared memory, else null.
absl::StatusOr<std::shared_ptr<shared_memory::RegionLoans>> LoansFor(
    const ReasoningContext& context, const v1::SubscribeContextsRequest& request) {
  if (request.shared_memory_token().empty()) return nullptr;
  if (request.selection() == v1::CONTEXT_SELECTION_DECISIONS) {
    return absl::InvalidArgumentError(
        "shared_memory_token is given with CONTEXT_SELECTION_DECISIONS, which has no payload");
  }
  if (context.regions == nullptr) {
    return absl::FailedPreconditionError(
        "shared_memory_token is given; this producer has no shared-memory lane");
  }
  return context.regions->Open(request.shared_memory_token(), request.shared_memory_subscription());
}

class Refused final : public grpc::ServerWriteReactor<grpc::ByteBuffer> {
 public:
  explicit Refused(const grpc::Status& status) { Finish(status); }
  void OnDone() override { delete this; }
};

absl::Status Attach(ReasoningEngine& engine, const Subscription& subscription,
                    SnapshotPublisher* publisher) {
  return subscription.listens ? engine.Listen(subscription.request, publisher)
                              : engine.AttachSink(subscription.request, publisher);
}

}  // namespace

grpc::ServerWriteReactor<grpc::ByteBuffer>* HandleSubscribeContexts(const ReasoningContext& context,
                                                                    const grpc::ByteBuffer& bytes) {
  ReasoningEngine* const engine = context.engine;
  const uint64_t consumer = engine->MintConsumer();
  v1::SubscribeContextsRequest request;
  absl::Status status = Parse(bytes, &request);
  Subscription subscription;
  if (status.ok()) {
    absl::StatusOr<Subscription> read = Read(request, consumer);
    status = read.status();
    if (read.ok()) subscription = *std::move(read);
  }
  std::shared_ptr<shared_memory::RegionLoans> loans;
  if (status.ok()) {
    auto opened = LoansFor(context, request);
    status = opened.status();
    if (opened.ok()) loans = *std::move(opened);
  }
  if (!status.ok()) return new Refused(rpc::ToGrpcStatus(status));

  static const MonotonicClock clock;
  context.streams->Begin();
  auto* publisher = new SnapshotPublisher(
      {.outbox = {.session_name = request.session(),
                  .layers = subscription.request.want_layers,
                  .chunk_bytes = context.chunk_bytes,
                  // What is lent is not sent at all.
                  .reuse = context.reuse_chunks && loans == nullptr && context.chaos == nullptr},
       .loans = loans,
       .chaos = context.chaos,
       .drain_deadline = context.drain_deadline,
       .layer_streaming = context.layer_streaming,
       .clock = &clock,
       .on_room = [engine] { engine->Wake(); },
       .on_done =
           [engine, consumer, streams = context.streams] {
             engine->Detach(consumer);
             streams->End();
           },
       .on_streamed = [engine](LayerStreaming::Mode mode) { engine->NoteStreamed(mode); },
       .on_replaced = [engine] { engine->NoteReplaced(); },
       .on_loan = [engine](bool lent) { engine->NoteLoan(lent); }});
  v1::Attached attached;
  attached.set_epoch(request.epoch());
  attached.set_model_revision(engine->status().expert.model_revision);
  if (loans != nullptr) {
    attached.set_shared_memory_subscription(loans->number());
    attached.set_shared_memory_snapshots(static_cast<uint32_t>(loans->snapshot_limit()));
  }
  publisher->Greet(attached);
  // From here on the engine may call the publisher, and a refusal ends the call like any other end.
  if (status = Attach(*engine, subscription, publisher); !status.ok()) publisher->Close(status);
  return publisher;
}

}  // namespace automot::reasoning
