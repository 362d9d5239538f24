#include "common/logging/log.h"

#include <atomic>
#include <cmath>
#include <cstdio>
#include <mutex>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace automot::logging {
namespace {

constexpr const char* kLevelNames[] = {"debug", "info", "warning", "error"};

std::atomic<Level> level_in_force{Level::kInfo};

struct Output {
  std::mutex mutex;
  std::function<void(std::string_view)> sink;  // guarded by mutex
};

Output& TheOutput() {
  static auto* output = new Output;  // outlives every thread that logs
  return *output;
}

void AppendQuoted(std::string& line, std::string_view text) {
  line.push_back('"');
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      line.push_back('\\');
      line.push_back(c);
    } else if (byte < 0x20 || byte == 0x7F) {
      absl::StrAppendFormat(&line, "\\u%04x", byte);
    } else {
      line.push_back(c);
    }
  }
  line.push_back('"');
}

void AppendValue(std::string& line, const Field::Value& value) {
  if (const auto* text = std::get_if<std::string_view>(&value)) {
    AppendQuoted(line, *text);
  } else if (const auto* number = std::get_if<double>(&value)) {
    // JSON has no spelling for what is not finite.
    if (std::isfinite(*number)) {
      absl::StrAppend(&line, *number);
    } else {
      AppendQuoted(line, absl::StrCat(*number));
    }
  } else if (const auto* truth = std::get_if<bool>(&value)) {
    line.append(*truth ? "true" : "false");
  } else if (const auto* integer = std::get_if<int64_t>(&value)) {
    absl::StrAppend(&line, *integer);
  } else {
    absl::StrAppend(&line, std::get<uint64_t>(value));
  }
}

}  // namespace

void SetLevel(Level level) { level_in_force.store(level, std::memory_order_relaxed); }

bool Enabled(Level level) { return level >= level_in_force.load(std::memory_order_relaxed); }

absl::StatusOr<Level> ParseLevel(std::string_view text) {
  for (uint8_t i = 0; i < std::size(kLevelNames); ++i) {
    if (text == kLevelNames[i]) return static_cast<Level>(i);
  }
  return absl::InvalidArgumentError(absl::StrCat("log level is '", std::string(text),
                                                 "'; it must be debug, info, warning or error"));
}

std::string Format(Level level, std::string_view event, std::initializer_list<Field> fields) {
  std::string line = absl::StrCat(
      R"({"time":")", absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", absl::Now(), absl::UTCTimeZone()),
      R"(","level":")", kLevelNames[static_cast<uint8_t>(level)], R"(","event":)");
  AppendQuoted(line, event);
  for (const Field& field : fields) {
    line.push_back(',');
    AppendQuoted(line, field.name);
    line.push_back(':');
    AppendValue(line, field.value);
  }
  line.push_back('}');
  return line;
}

void Write(Level level, std::string_view event, std::initializer_list<Field> fields) {
  std::string line = Format(level, event, fields);
  Output& output = TheOutput();
  std::lock_guard lock(output.mutex);
  if (output.sink) return output.sink(line);
  line.push_back('\n');
  std::fwrite(line.data(), 1, line.size(), stderr);
}

void SetSink(std::function<void(std::string_view line)> sink) {
  Output& output = TheOutput();
  std::lock_guard lock(output.mutex);
  output.sink = std::move(sink);
}

}  // namespace automot::logging
