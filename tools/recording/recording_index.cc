#include "tools/recording/recording_index.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/conversion/snapshot_header.h"
#include "common/status/status_macros.h"

namespace automot::tools {
namespace {

constexpr uint32_t kFormatVersion = 1;

using What = v1::RecordingEntry;

absl::Status TakeStart(const v1::RecordingStart& start, RecordingIndex* index) {
  if (start.format_version() != kFormatVersion) {
    return absl::FailedPreconditionError(absl::StrCat("the recording's format_version is ",
                                                      start.format_version(),
                                                      "; this version reads ", kFormatVersion));
  }
  if (index->start.format_version() == 0) index->start = start;
  return absl::OkStatus();
}

void TakeContext(const What& entry, const EntryPlace& place, RecordedSession* session) {
  RecordedContext context;
  context.place = place;
  if (entry.has_producer_attached()) {
    context.id.episode = entry.producer_attached().episode();
    context.id.epoch = entry.producer_attached().epoch();
  } else {
    context.omitted = entry.has_snapshot_omitted();
    const v1::SnapshotHeader& header =
        context.omitted ? entry.snapshot_omitted().header() : entry.snapshot_header();
    context.id = conversion::SnapshotIdFromProto(header.id(), 0);
  }
  session->contexts.push_back(context);
}

void TakeEntry(const What& entry, const EntryPlace& place, RecordingIndex* index) {
  if (entry.has_records_dropped() && entry.session_key() == 0) {
    for (auto& [key, session] : index->sessions) session.dropped = entry.records_dropped().reason();
    return;
  }
  if (entry.session_key() == 0) return;
  RecordedSession& session = index->sessions[entry.session_key()];
  session.key = entry.session_key();
  RecordedInput input{entry.index(), place, entry.what_case()};
  switch (entry.what_case()) {
    case What::kSessionOpened:
      session.name = entry.session_opened().session();
      break;
    case What::kSessionReset:
    case What::kSessionClosed:
    case What::kContextPinned:
    case What::kContextReleased:
      break;
    case What::kPlanTaken:
      input.lease = entry.plan_taken().request().lease();
      input.sequence = entry.plan_taken().request().sequence();
      break;
    case What::kPlanEnded:
      session.ends.push_back({entry.index(), place, entry.plan_ended().lease(),
                              entry.plan_ended().sequence(), entry.plan_ended().ticked()});
      return;
    case What::kRecordsDropped:
      session.dropped = entry.records_dropped().reason();
      return;
    case What::kProducerAttached:
    case What::kSnapshotHeader:
    case What::kSnapshotOmitted:
      return TakeContext(entry, place, &session);
    default:
      return;
  }
  session.inputs.push_back(input);
}

}  // namespace

absl::StatusOr<RecordingIndex> IndexRecording(EntryReader& reader) {
  RecordingIndex index;
  EntryPlace next;
  for (;;) {
    const EntryPlace place = next;
    AUTOMOT_ASSIGN_OR_RETURN(const std::optional<What> entry, reader.Next(&next));
    if (!entry) break;
    if (index.entries > 0 && entry->index() != index.entries + 1) {
      index.tail = {RecordingTail::Kind::kDamaged,
                    absl::StrCat("behind record ", index.entries, " comes record ", entry->index(),
                                 ": a file is missing")};
      break;
    }
    index.entries = entry->index();
    if (entry->has_start()) AUTOMOT_RETURN_IF_ERROR(TakeStart(entry->start(), &index));
    TakeEntry(*entry,
              {next.file, place.file == next.file ? place.offset : recording::kFileMagicBytes},
              &index);
  }
  if (index.start.format_version() == 0) {
    return absl::DataLossError(
        absl::StrCat("the recording has no readable start: ", reader.tail().where));
  }
  if (index.tail.where.empty()) index.tail = reader.tail();
  for (auto& [key, session] : index.sessions) {
    std::stable_sort(session.contexts.begin(), session.contexts.end(),
                     [](const RecordedContext& a, const RecordedContext& b) {
                       return PublicationOrder(a.id, b.id) < 0;
                     });
  }
  return index;
}

}  // namespace automot::tools
