#include "services/reasoning/handlers/ask_handler.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"
#include "services/reasoning/answer_stream.h"
#include "services/reasoning/handlers/session_name.h"

namespace automot::reasoning {
namespace {

absl::StatusOr<std::vector<CameraFramePtr>> OwnFrames(const v1::AskRequest& request,
                                                      const conversion::ObservationLimits& limits) {
  AUTOMOT_ASSIGN_OR_RETURN(Observation observation,
                           conversion::ObservationFromProto(request.observation(), limits));
  if (observation.camera_frames.empty()) {
    return absl::InvalidArgumentError(
        "observation.camera_images is empty; a question needs a frame");
  }
  std::vector<CameraFramePtr> frames;
  for (CameraFrame& frame : observation.camera_frames) {
    frames.push_back(std::make_shared<const CameraFrame>(std::move(frame)));
  }
  return frames;
}

// What is out of bounds is refused by ValidateAskOptions.
void ReadChoice(const v1::AskRequest& request, AskOptions* options) {
  options->stop.assign(request.stop().begin(), request.stop().end());
  const v1::Sampling& sampling = request.sampling();
  options->sampling = {.temperature = sampling.temperature(),
                       .top_k = sampling.top_k(),
                       .top_p = sampling.has_top_p() ? sampling.top_p() : 1.0,
                       .seed = sampling.seed()};
}

absl::StatusOr<std::unique_ptr<SceneQuestion>> Read(const v1::AskRequest& request,
                                                    const conversion::ObservationLimits& limits) {
  auto question = std::make_unique<SceneQuestion>();
  if (request.max_tokens() > uint32_t{AskOptions::kMaxTokens}) {
    return absl::InvalidArgumentError(absl::StrCat(
        "max_tokens is ", request.max_tokens(), "; it must be at most ", AskOptions::kMaxTokens));
  }
  if (request.max_tokens() != 0) {
    question->options.max_tokens = static_cast<int>(request.max_tokens());
  }
  ReadChoice(request, &question->options);
  question->question = request.question();
  if (request.has_observation()) {
    AUTOMOT_ASSIGN_OR_RETURN(question->frames, OwnFrames(request, limits));
  } else {
    AUTOMOT_RETURN_IF_ERROR(CheckSessionName(request.session()));
    question->session = request.session();
  }
  return question;
}

absl::Status Start(const ReasoningContext& context, const v1::AskRequest& request,
                   AnswerStream* stream) {
  AUTOMOT_ASSIGN_OR_RETURN(std::unique_ptr<SceneQuestion> question, Read(request, context.limits));
  const std::shared_ptr<AnswerStream::Writer> writer = stream->writer();
  question->on_text = [writer](std::string_view piece) { return writer->Write(piece); };
  question->on_done = [writer](const absl::StatusOr<bool>& complete) { writer->End(complete); };
  question->wanted = [writer] { return writer->wanted(); };
  AUTOMOT_ASSIGN_OR_RETURN(const SessionTimeUs time, context.engine->Ask(std::move(question)));
  stream->SetCaptureTime(time);
  return absl::OkStatus();
}

}  // namespace

grpc::ServerWriteReactor<v1::AskResponse>* HandleAsk(const ReasoningContext& context,
                                                     const v1::AskRequest& request) {
  auto* stream = new AnswerStream(context.engine->status().expert.model_revision);
  if (const absl::Status status = Start(context, request, stream); !status.ok()) {
    stream->Close(status);
  }
  return stream;
}

}  // namespace automot::reasoning
