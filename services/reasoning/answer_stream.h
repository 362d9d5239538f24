// One answer to a scene question on its way to the client: pieces of text as the worker makes them.
#pragma once

#include <grpcpp/support/server_callback.h>

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "automot/v1/reasoning_service.pb.h"

namespace automot::reasoning {

// The worker's end and the call's end live as long as they need; whichever is last frees the rest.
// Thread-safe. Bounded by the answer's token limit.
class AnswerStream final : public grpc::ServerWriteReactor<v1::AskResponse> {
 public:
  // What the worker holds.
  class Writer {
   public:
    // False where the client is gone: stop.
    bool Write(std::string_view piece);
    void End(const absl::StatusOr<bool>& complete);
    // False where the client is gone.
    bool wanted();

   private:
    friend class AnswerStream;
    absl::Mutex mutex_;
    AnswerStream* stream_ ABSL_GUARDED_BY(mutex_) = nullptr;  // null once the call is over
  };

  explicit AnswerStream(std::string model_revision);

  std::shared_ptr<Writer> writer() const { return writer_; }
  void SetCaptureTime(int64_t capture_time_us);
  void Close(const absl::Status& status);

 private:
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

  bool Push(std::string_view piece);
  bool open();
  void PushEnd(bool complete);
  void Pump() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string model_revision_;
  const std::shared_ptr<Writer> writer_ = std::make_shared<Writer>();
  absl::Mutex mutex_;
  int64_t capture_time_us_ ABSL_GUARDED_BY(mutex_) = 0;
  std::deque<v1::AskResponse> waiting_ ABSL_GUARDED_BY(mutex_);
  std::optional<absl::Status> close_ ABSL_GUARDED_BY(mutex_);
  bool started_ ABSL_GUARDED_BY(mutex_) = false;  // the capture time is known
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  v1::AskResponse message_ ABSL_GUARDED_BY(mutex_);  // in flight
};

}  // namespace automot::reasoning
