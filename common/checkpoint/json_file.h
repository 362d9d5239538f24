// Small JSON files of a checkpoint: bounded loading, and reading of fields with messages that name
// them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

namespace automot::model {

// The whole file as text. NOT_FOUND, or INVALID_ARGUMENT when it is longer than `max_bytes`.
absl::StatusOr<std::string> ReadTextFile(const std::string& path, size_t max_bytes);

// Writes a temporary file beside `path` and renames it over `path`.
absl::Status WriteTextFile(const std::string& path, std::string_view text);

// INVALID_ARGUMENT for text that is not JSON or nests deeper than 64. `name` is for messages.
absl::StatusOr<nlohmann::json> ParseJson(std::string_view text, std::string_view name);

// Reads fields of one document by dotted path ("text_config.hidden_size"). The first error is kept
// in status(); after it every call returns its default, so that a reader of many fields checks
// once, at the end. Not thread-safe; borrows the document.
class JsonFields {
 public:
  JsonFields(const nlohmann::json& document, std::string name)
      : document_(document), name_(std::move(name)) {}

  bool Has(std::string_view path) const { return Look(path) != nullptr; }
  // Present and within [low, high], else an error.
  int64_t Int(std::string_view path, int64_t low = 1, int64_t high = 1 << 24);
  double Double(std::string_view path, double low, double high);
  std::string Text(std::string_view path);
  std::vector<double> Doubles(std::string_view path, double low, double high);
  std::vector<int64_t> Ints(std::string_view path, int64_t low, int64_t high);
  std::vector<std::string> Texts(std::string_view path);
  // The same for fields that may be absent (or null).
  int64_t IntOr(std::string_view path, int64_t absent, int64_t low = 1, int64_t high = 1 << 24);
  double DoubleOr(std::string_view path, double absent, double low, double high);
  bool BoolOr(std::string_view path, bool absent);
  // An error unless the field is absent or equal to `value`: for what is implemented in one way
  // only.
  void OnlyText(std::string_view path, std::string_view value);
  void OnlyBool(std::string_view path, bool value);

  const absl::Status& status() const { return status_; }

 private:
  const nlohmann::json* Look(std::string_view path) const;
  const nlohmann::json* Need(std::string_view path);
  void Fail(std::string_view path, std::string_view what);

  const nlohmann::json& document_;
  std::string name_;
  absl::Status status_;
};

}  // namespace automot::model
