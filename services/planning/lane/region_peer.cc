#include "services/planning/lane/region_peer.h"

#include <chrono>
#include <utility>

#include "common/rpc/status_conversion.h"
#include "services/planning/lane/context_stream.h"

namespace automot::planning {

using shared_memory::RegionClient;

// One GetReasoningStatus call. Lives until it completes.
class RegionPeer::Question final : public std::enable_shared_from_this<Question> {
 public:
  using OnAnswer = std::function<void(const absl::StatusOr<v1::GetReasoningStatusResponse>&)>;

  void Ask(CompletionThread& thread, const std::shared_ptr<grpc::Channel>& channel,
           absl::Duration timeout, OnAnswer on_answer) {
    call_.set_deadline(std::chrono::system_clock::now() + absl::ToChronoMicroseconds(timeout));
    stub_ = v1::ReasoningService::NewStub(channel);
    reader_ = stub_->AsyncGetReasoningStatus(&call_, {}, thread.queue());
    reader_->Finish(
        &response_, &status_,
        CompletionThread::Tag([self = shared_from_this(), on_answer = std::move(on_answer)](bool) {
          if (self->status_.ok()) return on_answer(self->response_);
          on_answer(rpc::FromGrpcStatus(self->status_));
        }));
  }

 private:
  v1::GetReasoningStatusResponse response_;
  grpc::ClientContext call_;
  grpc::Status status_;
  std::unique_ptr<v1::ReasoningService::Stub> stub_;
  std::unique_ptr<grpc::ClientAsyncResponseReader<v1::GetReasoningStatusResponse>> reader_;
};

RegionPeer::~RegionPeer() {
  if (connector_.joinable()) connector_.join();
}

void RegionPeer::Connect(OnConnected on_connected) {
  if (client_ != nullptr) return on_connected(client_);
  if (thread_->stopped()) return;
  waiting_.push_back(std::move(on_connected));
  if (waiting_.size() > 1) return;
  std::make_shared<Question>()->Ask(
      *thread_, channel_, timeout_,
      [self = shared_from_this()](const auto& status) { self->OnStatus(status); });
}

void RegionPeer::Close() {
  waiting_.clear();
  client_.reset();
}

void RegionPeer::OnStatus(const absl::StatusOr<v1::GetReasoningStatusResponse>& status) {
  if (thread_->stopped()) return;
  if (!status.ok()) return Answer(status.status());
  if (status->shared_memory_socket().empty()) {
    return Answer(absl::FailedPreconditionError(
        "the producer announces no shared-memory socket; this planner was started for that lane"));
  }
  const RegionClient::Options options = {.path = status->shared_memory_socket(),
                                         .producer = status->shared_memory_producer(),
                                         .timeout = timeout_};
  if (connector_.joinable()) connector_.join();  // it has posted its result, and ends
  connector_ = std::thread([weak = weak_from_this(), thread = thread_, options] {
    auto client = std::make_shared<absl::StatusOr<std::unique_ptr<RegionClient>>>(
        RegionClient::Connect(options));
    thread->Post([weak, client] {
      if (const auto self = weak.lock()) self->OnClient(std::move(*client));
    });
  });
}

void RegionPeer::OnClient(absl::StatusOr<std::unique_ptr<RegionClient>> client) {
  if (!client.ok()) return Answer(client.status());
  client_ = *std::move(client);
  client_->WatchEnd([weak = weak_from_this(), thread = thread_, client = client_.get()] {
    thread->Post([weak, client] {
      if (const auto self = weak.lock()) self->OnEnd(client);
    });
  });
  Answer(client_);
}

void RegionPeer::Watch(const std::shared_ptr<ContextStream>& stream) {
  std::erase_if(streams_, [](const auto& other) { return other.expired(); });
  streams_.push_back(stream);
}

void RegionPeer::OnEnd(const RegionClient* client) {
  if (client_.get() != client) return;
  client_.reset();
  for (const auto& stream : std::exchange(streams_, {})) {
    if (const auto alive = stream.lock()) {
      alive->Cancel(absl::UnavailableError("the shared-memory connection has ended"));
    }
  }
}

void RegionPeer::Answer(const Connected& connected) {
  for (const OnConnected& on_connected : std::exchange(waiting_, {})) on_connected(connected);
}

}  // namespace automot::planning
