#include "services/reasoning/handlers/get_reasoning_status_handler.h"

namespace automot::reasoning {

absl::Status HandleGetReasoningStatus(const ReasoningContext& context,
                                      const v1::GetReasoningStatusRequest&,
                                      v1::GetReasoningStatusResponse* response) {
  const ReasoningStatus status = context.engine->status();
  response->set_model_revision(status.expert.model_revision);
  response->set_weights_trained(status.expert.weights_trained);
  response->set_ready(status.ready && !status.draining);
  response->set_draining(status.draining);
  response->set_sessions(static_cast<uint32_t>(status.sessions));
  response->set_session_limit(static_cast<uint32_t>(status.session_limit));
  response->set_refreshes(status.refreshes);
  response->set_superseded(status.superseded);
  response->set_vision_cache_hits(status.vision_cache_hits);
  if (context.regions != nullptr) {
    response->set_shared_memory_socket(context.regions->path());
    response->set_shared_memory_producer(context.regions->producer());
  }
  return absl::OkStatus();
}

}  // namespace automot::reasoning
