// Whether an answer is this vehicle's own: the request's identity in every answer, and the proof of
// its inputs where the server is synthetic. Not thread-safe.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "automot/v1/planning_service.pb.h"
#include "tools/synthetic/plan_proof.h"

namespace automot::loadgen {

// One observation as it was sent.
struct SentTick {
  uint64_t sequence = 0;
  uint32_t episode = 0;
  synthetic::TickFacts facts;
  bool has_camera = false;  // captured at facts.capture_time_us
  // The picture as contexts are made of it: before the action expert's JPEG artefacts.
  uint64_t context_camera = synthetic::kAbsent;
};

class AnswerCheck {
 public:
  // Keeps the newest `capacity` ticks, for the contexts that are made of them.
  explicit AnswerCheck(std::string session, std::size_t capacity = 4096)
      : session_(std::move(session)), capacity_(capacity) {}

  void Sent(const SentTick& tick);
  // The session is another one under the same name: no context of what was sent so far may come.
  void Forget();

  struct Verdict {
    std::vector<std::string> wrong;  // fields that are not the tick's; empty: its own
    bool proven = false;             // the proof was compared
  };
  // `tick` is what the answer claims to answer.
  Verdict Check(const SentTick& tick, const automot::v1::PlanResponse& answer,
                bool synthetic) const;

 private:
  void CheckIdentity(const SentTick& tick, const automot::v1::PlanResponse& answer,
                     Verdict* verdict) const;
  void CheckProof(const SentTick& tick, const automot::v1::PlanResponse& answer,
                  Verdict* verdict) const;
  // Checksums of the pictures that the server may have planned `tick` with.
  std::vector<uint64_t> CamerasOf(const SentTick& tick) const;
  // The tick whose picture a context is of; null: none that is known.
  const SentTick* Find(uint32_t episode, int64_t capture_time_us) const;

  const std::string session_;
  const std::size_t capacity_;
  std::deque<SentTick> sent_;
  bool forgot_ = false;  // the oldest ticks are not kept any more
};

}  // namespace automot::loadgen
