#include "tools/replay/session_replay.h"

#include <tuple>

#include "absl/strings/str_cat.h"
#include "common/conversion/snapshot_header.h"
#include "common/status/status_macros.h"
#include "services/planning/handlers/plan_conversion.h"
#include "services/planning/handlers/session_conversion.h"
#include "services/planning/plan_failure.h"
#include "services/planning/session.h"

namespace automot::tools {
namespace {

using What = v1::RecordingEntry;

// Refused for load or because a lossless path was full: another run is loaded otherwise.
bool DependsOnLoad(int code) {
  switch (static_cast<absl::StatusCode>(code)) {
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
      return true;
    default:
      return false;
  }
}

std::string CodeName(int code) {
  return absl::StatusCodeToString(static_cast<absl::StatusCode>(code));
}

bool AtMost(const SnapshotId& id, const SnapshotId& seen) {
  return std::tie(id.epoch, id.version) <= std::tie(seen.epoch, seen.version);
}

absl::StatusOr<std::unique_ptr<planning::PlanWork>> TakeIn(planning::PlanningEngine* engine,
                                                           const v1::PlanTaken& taken,
                                                           const LeaseMap& leases) {
  AUTOMOT_ASSIGN_OR_RETURN(planning::PlanCall call, planning::PlanCallFromProto(taken.request()));
  // One that was not this session's is nobody's here, and refused as then.
  const auto given = leases.find(call.lease);
  call.lease = given != leases.end() ? given->second : 0;
  for (const uint32_t picture : taken.decoded_jpegs()) {
    if (picture < call.observation.camera_frames.size()) {
      call.observation.camera_frames[picture].was_jpeg = true;
    }
  }
  return engine->TakeIn(std::move(call));
}

}  // namespace

uint64_t SessionReplay::NextEpoch(uint64_t last) {
  for (size_t i = next_context_; i < session_.contexts.size(); ++i) {
    if (session_.contexts[i].id.version == 0) return session_.contexts[i].id.epoch;
  }
  return last + 1;
}

absl::StatusOr<v1::RecordingEntry> SessionReplay::Read(EntryPlace place) const {
  AUTOMOT_ASSIGN_OR_RETURN(std::optional<What> entry, shared_.reader->Next(&place));
  if (!entry) return absl::DataLossError("the recording changed while it was read");
  return *std::move(entry);
}

void SessionReplay::Differs(uint64_t index, uint64_t sequence, std::string field,
                            std::string recorded, std::string replayed) {
  shared_.report->Add(
      {index, session_.name, sequence, std::move(field), std::move(recorded), std::move(replayed)});
}

void SessionReplay::Differs(uint64_t index, uint64_t sequence, int recorded,
                            const absl::Status& replayed) {
  Differs(index, sequence, "status", CodeName(recorded), replayed.ToString());
}

void SessionReplay::GiveUp(std::string why) {
  if (gave_up_.empty()) gave_up_ = std::move(why);
}

absl::Status SessionReplay::Run() {
  uint64_t left = 0;
  for (const RecordedEnd& end : session_.ends) {
    if (!end.ticked) continue;  // its observation is taken in with the next one's
    if (gave_up_.empty()) AUTOMOT_RETURN_IF_ERROR(Replay(end));
    if (!gave_up_.empty()) ++left;
  }
  while (gave_up_.empty() && next_input_ < session_.inputs.size()) {
    AUTOMOT_RETURN_IF_ERROR(TakeInput(session_.inputs[next_input_]));
    ++next_input_;
  }
  taken_.clear();
  if (open_) shared_.engine->CloseSession(session_.name, lease_).IgnoreError();
  ++shared_.report->sessions;
  if (left > 0) shared_.report->not_replayed.push_back({session_.name, left, gave_up_});
  if (!session_.dropped.empty()) {
    shared_.report->not_replayed.push_back(
        {session_.name, 0, absl::StrCat("its records end early: ", session_.dropped)});
  }
  return absl::OkStatus();
}

absl::Status SessionReplay::Replay(const RecordedEnd& end) {
  const PlanKey key{end.lease, end.sequence};
  AUTOMOT_RETURN_IF_ERROR(TakeInputsThrough(key));
  AUTOMOT_ASSIGN_OR_RETURN(const What entry, Read(end.place));
  const v1::PlanEnded& ended = entry.plan_ended();
  const auto at = taken_.find(key);
  if (at == taken_.end()) {
    if (gave_up_.empty()) Differs(end.index, end.sequence, "request", "taken in", "refused");
    return absl::OkStatus();
  }
  AUTOMOT_RETURN_IF_ERROR(Show(conversion::SnapshotIdFromProto(ended.newest_seen(), 0)));
  if (gave_up_.empty()) {
    shared_.engine->RunHere(*at->second);
    Compare(ended, *at->second, end.index);
  }
  taken_.erase(at);
  return absl::OkStatus();
}

void SessionReplay::Compare(const v1::PlanEnded& ended, const planning::PlanWork& work,
                            uint64_t index) {
  ++shared_.report->plans;
  const absl::Status status = planning::PlanFailureStatus(work);
  if (status.raw_code() != ended.status().code()) {
    return Differs(index, ended.sequence(), ended.status().code(), status);
  }
  if (!status.ok()) return;
  v1::PlanResponse response;
  planning::PlanResponseToProto(work, shared_.engine->model().model_revision, work.arrived,
                                &response);
  auto difference = FirstDifference(ended.response(), response, shared_.comparison);
  if (difference) {
    Differs(index, ended.sequence(), std::move(difference->field), std::move(difference->recorded),
            std::move(difference->replayed));
  }
}

// An input that came later cannot have changed the tick: a reset or a closing that did ended the
// plan without one.
absl::Status SessionReplay::TakeInputsThrough(const PlanKey& plan) {
  while (gave_up_.empty() && !taken_.contains(plan) && next_input_ < session_.inputs.size()) {
    AUTOMOT_RETURN_IF_ERROR(TakeInput(session_.inputs[next_input_]));
    ++next_input_;
  }
  return absl::OkStatus();
}

absl::Status SessionReplay::TakeInput(const RecordedInput& input) {
  AUTOMOT_ASSIGN_OR_RETURN(const What entry, Read(input.place));
  switch (entry.what_case()) {
    case What::kSessionOpened:
      return OpenSession(entry.session_opened(), input);
    case What::kSessionReset: {
      const auto episode = shared_.engine->ResetSession(session_.name, lease_);
      if (!episode.ok()) Differs(input.index, 0, 0, episode.status());
      episode_ = entry.session_reset().episode();
      return absl::OkStatus();
    }
    case What::kSessionClosed:
      open_ = false;
      taken_.clear();
      return shared_.engine->CloseSession(session_.name, lease_);
    case What::kContextPinned:
      return Pin(entry.context_pinned(), input);
    case What::kContextReleased:
      return shared_.engine->ReleaseContext(session_.name, lease_,
                                            entry.context_released().context_lease());
    default:
      TakePlan(entry.plan_taken(), input);
      return absl::OkStatus();
  }
}

absl::Status SessionReplay::OpenSession(const v1::SessionOpened& opened,
                                        const RecordedInput& input) {
  const auto options = planning::SessionOptionsFromProto(opened.options());
  const auto session = options.ok() ? shared_.engine->OpenSession(session_.name, token_, *options)
                                    : absl::StatusOr<planning::OpenedSession>(options.status());
  if (!session.ok()) {
    Differs(input.index, 0, 0, session.status());
    GiveUp("it could not be opened");
    return absl::OkStatus();
  }
  if (!open_) ++next_context_;  // the first attachment came with it
  open_ = true;
  token_ = session->resume_token;
  lease_ = session->lease;
  leases_[opened.lease()] = lease_;
  return absl::OkStatus();
}

absl::Status SessionReplay::Pin(const v1::ContextPinned& pinned, const RecordedInput& input) {
  const SnapshotId id = conversion::SnapshotIdFromProto(pinned.snapshot(), 0);
  AUTOMOT_RETURN_IF_ERROR(Show(id));
  if (!gave_up_.empty()) return absl::OkStatus();
  const auto done = shared_.engine->PinContext(session_.name, lease_, id, pinned.ttl_us());
  if (!done.ok()) Differs(input.index, 0, 0, done.status());
  return absl::OkStatus();
}

void SessionReplay::TakePlan(const v1::PlanTaken& taken, const RecordedInput& input) {
  auto work = TakeIn(shared_.engine, taken, leases_);
  const int recorded = taken.status().code();
  if (work.status().raw_code() != recorded && !DependsOnLoad(recorded)) {
    Differs(input.index, input.sequence, recorded, work.status());
  }
  if (work.ok() && recorded == 0) taken_[{input.lease, input.sequence}] = *std::move(work);
}

// Makes visible what the recorded tick knew of; what it did not know of stays hidden.
absl::Status SessionReplay::Show(const SnapshotId& seen) {
  for (; gave_up_.empty() && next_context_ < session_.contexts.size(); ++next_context_) {
    const RecordedContext& context = session_.contexts[next_context_];
    if (context.id.episode > episode_) break;
    if (context.id.episode == episode_ && !AtMost(context.id, seen)) break;
    if (context.id.version == 0) {
      AUTOMOT_RETURN_IF_ERROR(shared_.engine->AttachAnew(session_.name));
    } else if (context.id.episode == episode_) {
      AUTOMOT_RETURN_IF_ERROR(Publish(context));
    }
  }
  return absl::OkStatus();
}

absl::Status SessionReplay::Publish(const RecordedContext& context) {
  if (context.omitted) {
    GiveUp(absl::StrCat("keys and values of version ", context.id.version, " are not recorded"));
    return absl::OkStatus();
  }
  EntryPlace place = context.place;
  const uint64_t session = shared_.channel->SessionOf(session_.name);
  for (;;) {
    AUTOMOT_ASSIGN_OR_RETURN(const std::optional<What> entry, shared_.reader->Next(&place));
    if (!entry) break;
    if (entry->has_start()) continue;  // the snapshot goes on in another file
    auto snapshot = shared_.snapshots->Take(*entry, session);
    if (!snapshot.ok()) {
      GiveUp(absl::StrCat("version ", context.id.version,
                          " cannot be read: ", snapshot.status().ToString()));
      return absl::OkStatus();
    }
    if (*snapshot == nullptr) continue;
    shared_.channel->Publish(*std::move(snapshot));
    ++shared_.report->snapshots;
    return absl::OkStatus();
  }
  GiveUp(absl::StrCat("the recording ends inside version ", context.id.version));
  return absl::OkStatus();
}

}  // namespace automot::tools
