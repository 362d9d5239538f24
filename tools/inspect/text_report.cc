#include "tools/inspect/text_report.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace automot::tools {
namespace {

using Json = nlohmann::ordered_json;

std::string Text(const Json& object, const char* key) {
  const auto at = object.find(key);
  if (at == object.end() || at->is_null()) return "-";
  if (at->is_string()) return at->get<std::string>();
  return at->dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string SnapshotName(const Json& object, const char* key) {
  const auto at = object.find(key);
  if (at == object.end() || Text(*at, "version") == "0") return "-";
  return absl::StrCat(Text(*at, "episode"), "/", Text(*at, "epoch"), "/", Text(*at, "version"));
}

void AddStart(const Json& recording, std::string* text) {
  const Json& start = recording.at("start");
  absl::StrAppend(text, Text(start, "program"), ", model ", Text(start, "model_revision"), ", ",
                  Text(start, "dtype"), " on ", Text(start, "device"), ", format ",
                  Text(start, "format_version"), "\n", Text(recording, "entries"), " records, ",
                  Text(recording, "tail"));
  for (const char* detail : {"where", "ended_early"}) {
    const std::string what = Text(recording, detail);
    if (!what.empty()) absl::StrAppend(text, ", ", detail, ": ", what);
  }
  absl::StrAppend(text, "\n");
}

void AddSessions(const Json& sessions, std::string* text) {
  constexpr auto kRow = "%-24s %8s %8s %8s %9s %8s %8s %6s  %s\n";
  absl::StrAppend(text, "\n",
                  absl::StrFormat(kRow, "session", "plans", "answered", "refused", "snapshots",
                                  "omitted", "attached", "resets", "records end early"));
  for (const Json& s : sessions) {
    absl::StrAppend(text,
                    absl::StrFormat(kRow, Text(s, "session"), Text(s, "plans"), Text(s, "answered"),
                                    Text(s, "refused"), Text(s, "snapshots"), Text(s, "omitted"),
                                    Text(s, "attachments"), Text(s, "resets"), Text(s, "dropped")));
  }
}

std::string ReasonsOf(const Json& plan) {
  std::string text;
  for (const Json& reason : plan.value("reasons", Json::array())) {
    absl::StrAppend(&text, text.empty() ? "" : " ",
                    reason.get<std::string>().substr(sizeof("REASON_") - 1));
  }
  return text;
}

void AddPlans(const Json& plans, std::string* text) {
  constexpr auto kRow = "%8s %-16s %8s %12s %6s %-28s %10s %4s  %s\n";
  absl::StrAppend(text, "\n",
                  absl::StrFormat(kRow, "record", "session", "sequence", "capture_us", "status",
                                  "snapshot (episode/epoch/v)", "age_us", "gap", "reasons"));
  for (const Json& plan : plans) {
    absl::StrAppend(text, absl::StrFormat(kRow, Text(plan, "index"), Text(plan, "session"),
                                          Text(plan, "sequence"), Text(plan, "capture_time_us"),
                                          Text(plan, "status"), SnapshotName(plan, "snapshot"),
                                          Text(plan, "context_age_us"), Text(plan, "version_gap"),
                                          ReasonsOf(plan)));
  }
}

void AddLayers(const Json& layers, std::string* text) {
  int number = 0;
  for (const Json& layer : layers) {
    for (const char* tensor : {"keys", "values"}) {
      const Json& of = layer.at(tensor);
      absl::StrAppend(
          text,
          absl::StrFormat(
              "  layer %3d %-6s min %11.4g  max %11.4g  mean %11.4g  rms %10.4g  not finite %s\n",
              number, tensor, of.at("min").get<double>(), of.at("max").get<double>(),
              of.at("mean").get<double>(), of.at("rms").get<double>(), Text(of, "not_finite")));
    }
    ++number;
  }
}

void AddSnapshots(const Json& snapshots, std::string* text) {
  for (const Json& snapshot : snapshots) {
    const Json& header = snapshot.at("header");
    absl::StrAppend(text, "\nsnapshot ", SnapshotName(header, "id"), " of session '",
                    Text(snapshot, "session"), "', record ", Text(snapshot, "index"),
                    ", captured at ", Text(header, "capture_time_us"), " us, frames ",
                    Text(header, "frame_capture_times_us"), "\n  ", Text(snapshot, "layout"), ", ",
                    Text(snapshot, "bytes"), " bytes\n");
    for (const char* trouble : {"omitted", "error"}) {
      if (!snapshot.contains(trouble)) continue;
      absl::StrAppend(text, "  ", trouble, ": ", Text(snapshot, trouble), "\n");
    }
    if (snapshot.contains("layers")) AddLayers(snapshot.at("layers"), text);
  }
}

}  // namespace

std::string ToText(const Json& report) {
  std::string text;
  AddStart(report.at("recording"), &text);
  AddSessions(report.at("sessions"), &text);
  if (report.contains("plans")) AddPlans(report.at("plans"), &text);
  if (report.contains("snapshots")) AddSnapshots(report.at("snapshots"), &text);
  return text;
}

}  // namespace automot::tools
