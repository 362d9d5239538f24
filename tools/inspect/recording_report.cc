#include "tools/inspect/recording_report.h"

#include <google/protobuf/util/json_util.h>

#include <map>
#include <optional>
#include <utility>

#include "common/context/kv_buffer_pool.h"
#include "common/status/status_macros.h"
#include "services/planning/recording/snapshot_entries.h"
#include "tools/inspect/layer_statistics.h"

namespace automot::tools {
namespace {

using Json = nlohmann::ordered_json;
using What = v1::RecordingEntry;

constexpr std::size_t kSnapshotMemoryBytes = std::size_t{8} << 30;

Json MessageToJson(const google::protobuf::Message& message) {
  std::string text;
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  if (!google::protobuf::util::MessageToJsonString(message, &text, options).ok()) return nullptr;
  return Json::parse(text, nullptr, /*allow_exceptions=*/false);
}

Json IdToJson(const v1::SnapshotId& id) {
  return {{"episode", id.episode()}, {"epoch", id.epoch()}, {"version", id.version()}};
}

Json StatisticsToJson(const TensorStatistics& of) {
  return {{"min", of.min}, {"max", of.max},       {"mean", of.mean},
          {"rms", of.rms}, {"values", of.values}, {"not_finite", of.not_finite}};
}

Json LayersToJson(const context::KvBuffer& kv) {
  Json layers = Json::array();
  for (int i = 0; i < kv.layout().layers; ++i) {
    Json layer;
    layer["keys"] = StatisticsToJson(StatisticsOf(kv, i, context::TensorKind::kKey));
    layer["values"] = StatisticsToJson(StatisticsOf(kv, i, context::TensorKind::kValue));
    layers.push_back(std::move(layer));
  }
  return layers;
}

void AddAnswer(const v1::PlanResponse& answer, Json* plan) {
  const v1::PlanProvenance& provenance = answer.provenance();
  (*plan)["capture_time_us"] = answer.capture_time_us();
  (*plan)["snapshot"] = IdToJson(provenance.snapshot());
  if (provenance.ages().has_context_us()) {
    (*plan)["context_age_us"] = provenance.ages().context_us();
    (*plan)["version_gap"] = provenance.ages().version_gap();
  }
  Json reasons = Json::array();
  for (const int reason : provenance.reasons()) {
    reasons.push_back(v1::Reason_Name(static_cast<v1::Reason>(reason)));
  }
  (*plan)["reasons"] = std::move(reasons);
}

Json PlanToJson(const What& entry, const std::string& session) {
  const v1::PlanEnded& ended = entry.plan_ended();
  Json plan = {{"index", entry.index()},
               {"elapsed_us", entry.elapsed_us()},
               {"session", session},
               {"sequence", ended.sequence()},
               {"status", ended.status().code()},
               {"ticked", ended.ticked()},
               {"newest_seen", IdToJson(ended.newest_seen())}};
  if (!ended.status().message().empty()) plan["message"] = ended.status().message();
  if (ended.has_response()) AddAnswer(ended.response(), &plan);
  return plan;
}

void Describe(const context::ContextSnapshot& snapshot, Json* described) {
  const context::KvBuffer& kv = snapshot.kv;
  (*described)["layout"] = kv.layout().ToString();
  (*described)["bytes"] = kv.layout().payload_bytes();
  if (!kv.layout().quantised()) {
    (*described)["layers"] = LayersToJson(kv);
    return;
  }
  const auto plain = Dequantised(kv);
  if (plain.ok()) (*described)["layers"] = LayersToJson(*plain);
  if (!plain.ok()) (*described)["error"] = plain.status().ToString();
}

Json EmptySession(uint64_t key) {
  return {{"key", key},   {"session", ""},   {"plans", 0},   {"answered", 0},
          {"refused", 0}, {"snapshots", 0},  {"omitted", 0}, {"attachments", 0},
          {"resets", 0},  {"closed", false}, {"dropped", ""}};
}

class Reporter {
 public:
  explicit Reporter(const ReportOptions& options)
      : options_(options), pool_({.byte_budget = kSnapshotMemoryBytes}), reader_(&pool_) {}

  void Take(const What& entry) {
    ++entries_;
    if (entry.has_start() && start_.is_null()) start_ = MessageToJson(entry.start());
    if (entry.has_records_dropped() && entry.session_key() == 0) {
      ended_early_ = entry.records_dropped().reason();
    }
    if (entry.session_key() == 0) return;
    if (entry.has_session_opened()) names_[entry.session_key()] = entry.session_opened().session();
    const std::string& name = names_[entry.session_key()];
    if (!options_.session.empty() && name != options_.session) return;
    Count(entry, name);
    if (entry.has_plan_ended() && options_.plans) plans_.push_back(PlanToJson(entry, name));
    if (options_.snapshots) TakeSnapshot(entry, name);
  }

  Json Report(const RecordingTail& tail) const {
    static constexpr const char* kTails[] = {"ended", "open", "cut", "damaged"};
    Json report;
    report["recording"] = {{"start", start_},
                           {"entries", entries_},
                           {"tail", kTails[static_cast<int>(tail.kind)]},
                           {"where", tail.where},
                           {"ended_early", ended_early_}};
    report["sessions"] = Json::array();
    for (const auto& [key, session] : sessions_) report["sessions"].push_back(session);
    if (options_.plans) report["plans"] = plans_;
    if (options_.snapshots) report["snapshots"] = snapshots_;
    return report;
  }

 private:
  void Count(const What& entry, const std::string& name) {
    Json& session =
        sessions_.try_emplace(entry.session_key(), EmptySession(entry.session_key())).first->second;
    const auto add = [&session](const char* what) {
      session[what] = session[what].get<uint64_t>() + 1;
    };
    if (entry.has_session_opened()) session["session"] = name;
    if (entry.has_plan_taken()) add(entry.plan_taken().status().code() == 0 ? "plans" : "refused");
    if (entry.has_plan_ended() && entry.plan_ended().has_response()) add("answered");
    if (entry.has_snapshot_header()) add("snapshots");
    if (entry.has_snapshot_omitted()) add("omitted");
    if (entry.has_producer_attached()) add("attachments");
    if (entry.has_session_reset()) add("resets");
    if (entry.has_session_closed()) session["closed"] = true;
    if (entry.has_records_dropped()) session["dropped"] = entry.records_dropped().reason();
  }

  void BeginSnapshot(const What& entry, const std::string& name, const v1::SnapshotHeader& header) {
    snapshots_.push_back(
        {{"session", name}, {"index", entry.index()}, {"header", MessageToJson(header)}});
  }

  void TakeSnapshot(const What& entry, const std::string& name) {
    if (entry.has_snapshot_omitted()) {
      BeginSnapshot(entry, name, entry.snapshot_omitted().header());
      snapshots_.back()["omitted"] = v1::OmissionReason_Name(entry.snapshot_omitted().reason());
      return;
    }
    if (entry.has_snapshot_header()) BeginSnapshot(entry, name, entry.snapshot_header());
    const bool part =
        entry.has_snapshot_header() || entry.has_snapshot_chunk() || entry.has_snapshot_trailer();
    if (!part || snapshots_.empty()) return;
    Json& described = snapshots_.back();
    const auto taken = reader_.Take(entry, entry.session_key());
    if (!taken.ok() && !described.contains("error")) described["error"] = taken.status().ToString();
    if (!taken.ok() || *taken == nullptr) return;
    Describe(**taken, &described);
    if (entry.snapshot_trailer().has_decision()) {
      described["decision"] = MessageToJson(entry.snapshot_trailer().decision());
    }
  }

  const ReportOptions& options_;
  context::KvBufferPool pool_;
  planning::SnapshotEntryReader reader_;
  uint64_t entries_ = 0;
  Json start_;
  std::string ended_early_;
  std::map<uint64_t, std::string> names_;
  std::map<uint64_t, Json> sessions_;
  Json plans_ = Json::array();
  Json snapshots_ = Json::array();
};

}  // namespace

absl::StatusOr<Json> ReportOn(EntryReader& reader, const ReportOptions& options) {
  Reporter reporter(options);
  EntryPlace place;
  for (;;) {
    AUTOMOT_ASSIGN_OR_RETURN(const std::optional<What> entry, reader.Next(&place));
    if (!entry) return reporter.Report(reader.tail());
    reporter.Take(*entry);
  }
}

}  // namespace automot::tools
