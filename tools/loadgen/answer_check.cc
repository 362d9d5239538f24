#include "tools/loadgen/answer_check.h"

#include <algorithm>

namespace automot::loadgen {
namespace {

namespace v1 = automot::v1;
using synthetic::CarriedOffset;
using synthetic::ContextFacts;
using synthetic::PlanProof;
using synthetic::ProofField;
using synthetic::TickFacts;

constexpr std::size_t kPicturesBack = 4;

bool Has(const v1::PlanResponse& answer, v1::Reason reason) {
  const auto& reasons = answer.provenance().reasons();
  return std::find(reasons.begin(), reasons.end(), reason) != reasons.end();
}

// Fields of the proof that the answer does not carry.
std::vector<std::string> Differences(const PlanProof& expected, const v1::PlanResponse& answer) {
  std::vector<std::string> differences;
  for (int i = 0; i < synthetic::kProofFields; ++i) {
    const bool carried = i < answer.trajectory().route_size() &&
                         answer.trajectory().route(i).y() == CarriedOffset(expected[i]);
    if (!carried) differences.emplace_back(synthetic::ToString(static_cast<ProofField>(i)));
  }
  return differences;
}

ContextFacts FactsOf(const SentTick& source, const std::string& session,
                     const v1::PlanResponse& answer) {
  return {.session = synthetic::ChecksumOf(session),
          .version = answer.provenance().snapshot().version(),
          .capture_time_us = answer.provenance().snapshot_capture_time_us(),
          .frame = source.context_camera,
          .speed_mps = source.facts.speed_mps,
          .current_target = source.facts.current_target,
          .next_target = source.facts.next_target,
          .episode = source.episode};
}

}  // namespace

void AnswerCheck::Forget() {
  sent_.clear();
  forgot_ = false;
}

void AnswerCheck::Sent(const SentTick& tick) {
  sent_.push_back(tick);
  if (sent_.size() <= capacity_) return;
  sent_.pop_front();
  forgot_ = true;
}

AnswerCheck::Verdict AnswerCheck::Check(const SentTick& tick, const v1::PlanResponse& answer,
                                        bool synthetic) const {
  Verdict verdict;
  CheckIdentity(tick, answer, &verdict);
  const bool planned =
      !Has(answer, v1::REASON_FALLBACK) && answer.provenance().snapshot().version() != 0;
  if (synthetic && planned) CheckProof(tick, answer, &verdict);
  return verdict;
}

void AnswerCheck::CheckIdentity(const SentTick& tick, const v1::PlanResponse& answer,
                                Verdict* verdict) const {
  const auto expect = [&](bool own, const char* field) {
    if (!own) verdict->wrong.emplace_back(field);
  };
  const v1::SnapshotId& snapshot = answer.provenance().snapshot();
  expect(answer.session() == session_, "session");
  expect(answer.sequence() == tick.sequence, "sequence");
  expect(answer.episode() == tick.episode, "episode");
  expect(answer.capture_time_us() == tick.facts.capture_time_us, "capture_time_us");
  if (snapshot.version() == 0) return;
  expect(snapshot.session() == session_, "snapshot.session");
  expect(snapshot.episode() == tick.episode, "snapshot.episode");
}

void AnswerCheck::CheckProof(const SentTick& tick, const v1::PlanResponse& answer,
                             Verdict* verdict) const {
  const int64_t capture_time_us = answer.provenance().snapshot_capture_time_us();
  const SentTick* source = Find(tick.episode, capture_time_us);
  if (source == nullptr) {
    if (!forgot_) verdict->wrong.emplace_back("context of a picture that was never sent");
    return;
  }
  verdict->proven = true;
  const ContextFacts context = FactsOf(*source, session_, answer);
  TickFacts facts = tick.facts;
  std::vector<std::string> fewest;
  for (const uint64_t camera : CamerasOf(tick)) {
    facts.camera = camera;
    std::vector<std::string> differences = Differences(ProveInputs(facts, context), answer);
    if (differences.empty()) return;
    if (fewest.empty()) fewest = std::move(differences);
  }
  for (std::string& field : fewest) verdict->wrong.push_back("proof." + std::move(field));
}

// Without a picture of its own a tick is planned with the last one that reached the server, which
// is not the last one sent where that was given up on its way.
std::vector<uint64_t> AnswerCheck::CamerasOf(const SentTick& tick) const {
  if (tick.has_camera) return {tick.facts.camera};
  std::vector<uint64_t> cameras;
  for (auto at = sent_.rbegin(); at != sent_.rend() && cameras.size() < kPicturesBack; ++at) {
    const bool earlier =
        at->episode == tick.episode && at->facts.capture_time_us <= tick.facts.capture_time_us;
    if (earlier && at->has_camera) cameras.push_back(at->facts.camera);
  }
  cameras.push_back(synthetic::kAbsent);
  return cameras;
}

const SentTick* AnswerCheck::Find(uint32_t episode, int64_t capture_time_us) const {
  const auto at = std::find_if(sent_.rbegin(), sent_.rend(), [&](const SentTick& tick) {
    return tick.has_camera && tick.episode == episode &&
           tick.facts.capture_time_us == capture_time_us;
  });
  return at == sent_.rend() ? nullptr : &*at;
}

}  // namespace automot::loadgen
