#include "services/reasoning/answer_stream.h"

#include <utility>

#include "common/rpc/status_conversion.h"

namespace automot::reasoning {

bool AnswerStream::Writer::Write(std::string_view piece) {
  absl::MutexLock lock(&mutex_);
  return stream_ != nullptr && stream_->Push(piece);
}

void AnswerStream::Writer::End(const absl::StatusOr<bool>& complete) {
  absl::MutexLock lock(&mutex_);
  if (stream_ == nullptr) return;
  if (complete.ok()) {
    stream_->PushEnd(*complete);
  } else {
    stream_->Close(complete.status());
  }
}

bool AnswerStream::Writer::wanted() {
  absl::MutexLock lock(&mutex_);
  return stream_ != nullptr && stream_->open();
}

AnswerStream::AnswerStream(std::string model_revision)
    : model_revision_(std::move(model_revision)) {
  absl::MutexLock lock(&writer_->mutex_);
  writer_->stream_ = this;
}

void AnswerStream::SetCaptureTime(int64_t capture_time_us) {
  absl::MutexLock lock(&mutex_);
  capture_time_us_ = capture_time_us;
  started_ = true;
  Pump();
}

bool AnswerStream::Push(std::string_view piece) {
  absl::MutexLock lock(&mutex_);
  if (close_) return false;
  waiting_.emplace_back().set_text(piece.data(), piece.size());
  Pump();
  return true;
}

bool AnswerStream::open() {
  absl::MutexLock lock(&mutex_);
  return !close_;
}

void AnswerStream::PushEnd(bool complete) {
  absl::MutexLock lock(&mutex_);
  if (close_) return;
  v1::AskResponse& last = waiting_.emplace_back();
  last.set_done(true);
  last.set_complete(complete);
  close_ = absl::OkStatus();
  Pump();
}

void AnswerStream::Close(const absl::Status& status) {
  absl::MutexLock lock(&mutex_);
  if (close_ && close_->ok() && status.ok()) return;
  close_ = status;
  waiting_.clear();
  started_ = true;
  Pump();
}

void AnswerStream::Pump() {
  if (writing_ || finished_ || !started_) return;
  if (waiting_.empty()) {
    if (!close_) return;
    finished_ = true;
    Finish(rpc::ToGrpcStatus(*close_));
    return;
  }
  message_ = std::move(waiting_.front());
  waiting_.pop_front();
  message_.set_capture_time_us(capture_time_us_);
  message_.set_model_revision(model_revision_);
  writing_ = true;
  StartWrite(&message_);
}

void AnswerStream::OnWriteDone(bool ok) {
  absl::MutexLock lock(&mutex_);
  writing_ = false;
  if (!ok) {
    close_ = absl::CancelledError("the client is gone");
    waiting_.clear();
  }
  Pump();
}

void AnswerStream::OnCancel() { Close(absl::CancelledError("the client cancelled")); }

void AnswerStream::OnDone() {
  {
    absl::MutexLock lock(&writer_->mutex_);
    writer_->stream_ = nullptr;
  }
  delete this;
}

}  // namespace automot::reasoning
