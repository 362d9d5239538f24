// What the handlers may touch.
#pragma once

#include "absl/time/time.h"
#include "common/context/snapshot_manifest.h"
#include "common/conversion/observation.h"
#include "common/rpc/credentials.h"
#include "common/shared_memory/region_server.h"
#include "services/reasoning/chaos_stream.h"
#include "services/reasoning/layer_streaming.h"
#include "services/reasoning/live_streams.h"
#include "services/reasoning/reasoning_engine.h"

namespace automot::reasoning {

// Everything outlives the server.
struct ReasoningContext {
  ReasoningEngine* engine = nullptr;
  const rpc::ClientAllowList* allow_list = nullptr;
  LiveStreams* streams = nullptr;
  shared_memory::RegionServer* regions = nullptr;  // null: no shared-memory lane
  ChaosSource* chaos = nullptr;                    // null: no faults on purpose
  conversion::ObservationLimits limits;
  std::size_t chunk_bytes = context::kDefaultChunkBytes;
  bool reuse_chunks = true;
  LayerStreaming::Setting layer_streaming = LayerStreaming::Setting::kAuto;
  absl::Duration drain_deadline = absl::Seconds(20);
};

}  // namespace automot::reasoning
