// Faults on purpose (--chaos SEED): what leaves for a consumer instead of the messages of a
// snapshot. Never used unless asked for. Payload is copied here, so that no fault touches a
// snapshot.
#pragma once

#include <grpcpp/support/byte_buffer.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/faults/fault_plan.h"
#include "services/reasoning/snapshot_outbox.h"

namespace automot::reasoning {

// The faults of one process, in the order in which its snapshots leave. Thread-safe.
class ChaosSource {
 public:
  // Told of every plan that changed something, on the stream's thread: be quick.
  using Report = std::function<void(const context::SnapshotHeader& header, uint64_t plan_seed,
                                    const std::vector<faults::FaultKind>& injected)>;
  ChaosSource(uint64_t seed, Report report) : seed_(seed), report_(std::move(report)) {}

  // The seed of the next snapshot's FaultPlan; every other snapshot on average has none.
  std::optional<uint64_t> NextPlanSeed();
  void Tell(const context::SnapshotHeader& header, uint64_t plan_seed,
            const std::vector<faults::FaultKind>& injected) const {
    report_(header, plan_seed, injected);
  }

 private:
  const uint64_t seed_;
  const Report report_;
  std::atomic<uint64_t> snapshots_{0};
};

// One subscription's. Holds a snapshot's messages back until its last one. Not thread-safe.
class ChaosStream {
 public:
  // `source` must outlive the stream.
  ChaosStream(ChaosSource* source, std::string session_name)
      : source_(source), session_name_(std::move(session_name)) {}

  void Take(const OutboxItem& item);
  // The next message to send; none: wants another item, or see killed().
  std::optional<grpc::ByteBuffer> Next();
  // The producer "dies" here: the stream must end, with nothing sent after.
  bool killed() const { return killed_ && ready_.empty(); }

 private:
  void Release();
  void Send(const faults::WireMessage& message);

  ChaosSource* const source_;
  const std::string session_name_;
  std::vector<faults::WireMessage> building_;
  std::vector<faults::WireMessage> late_;  // before the next snapshot's
  std::deque<grpc::ByteBuffer> ready_;
  SnapshotId id_;        // of the header that left last
  uint32_t chunks_ = 0;  // since then
  bool killed_ = false;
};

}  // namespace automot::reasoning
