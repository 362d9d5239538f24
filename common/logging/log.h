// Structured logs: one JSON object a line on stderr. Debian's Abseil has no logging of its own.
//
//   AUTOMOT_LOG(kWarning, "refresh_failed", {{"session", name}, {"version", 7}});
//   -> {"time":"2026-01-02T03:04:05.678Z","level":"warning","event":"refresh_failed","session":...}
//
// Thread-safe; lines never interleave. Takes a lock and writes: never call it on the planning
// thread. Lines below the level in force are not formatted.
#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>

#include "absl/status/statusor.h"

namespace automot::logging {

enum class Level : uint8_t { kDebug, kInfo, kWarning, kError };

// One named value. Borrows text: valid for the log call only.
struct Field {
  using Value = std::variant<std::string_view, int64_t, uint64_t, double, bool>;

  Field(std::string_view name, std::string_view value) : name(name), value(value) {}
  Field(std::string_view name, const std::string& value)
      : name(name), value(std::string_view(value)) {}
  Field(std::string_view name, const char* value) : name(name), value(std::string_view(value)) {}
  Field(std::string_view name, bool value) : name(name), value(value) {}
  Field(std::string_view name, std::floating_point auto value)
      : name(name), value(static_cast<double>(value)) {}
  Field(std::string_view name, std::signed_integral auto value)
      : name(name), value(static_cast<int64_t>(value)) {}
  template <std::unsigned_integral T>
    requires(!std::same_as<T, bool>)
  Field(std::string_view name, T value) : name(name), value(static_cast<uint64_t>(value)) {}

  std::string_view name;
  Value value;
};

// Lines below `level` are dropped. Default: kInfo.
void SetLevel(Level level);
bool Enabled(Level level);
// debug, info, warning, error. INVALID_ARGUMENT naming the choices.
absl::StatusOr<Level> ParseLevel(std::string_view text);

// The line without its end: what Write sends.
std::string Format(Level level, std::string_view event, std::initializer_list<Field> fields);
void Write(Level level, std::string_view event, std::initializer_list<Field> fields);

// Where lines go from now on; an empty function is stderr. Called under the logger's lock.
void SetSink(std::function<void(std::string_view line)> sink);

}  // namespace automot::logging

#define AUTOMOT_LOG(level, event, ...)                                                 \
  do {                                                                                 \
    if (::automot::logging::Enabled(::automot::logging::Level::level)) {               \
      ::automot::logging::Write(::automot::logging::Level::level, event, __VA_ARGS__); \
    }                                                                                  \
  } while (false)
