#include "common/checkpoint/json_file.h"

#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <fstream>
#include <iterator>

#include "absl/strings/str_split.h"
#include "common/checkpoint/text.h"

namespace automot::model {
namespace {

constexpr int kMaxJsonDepth = 64;
constexpr size_t kMaxListLength = 4096;

// Counts brackets outside strings: the parser itself would take any depth.
bool TooDeep(std::string_view text) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
      continue;
    }
    if (c == '"') in_string = true;
    if ((c == '{' || c == '[') && ++depth > kMaxJsonDepth) return true;
    if (c == '}' || c == ']') --depth;
  }
  return false;
}

}  // namespace

absl::StatusOr<std::string> ReadTextFile(const std::string& path, size_t max_bytes) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return absl::NotFoundError(Concat(path, ": cannot open"));
  std::string text;
  char block[1 << 16];
  while (in.read(block, sizeof(block)) || in.gcount() > 0) {
    text.append(block, static_cast<size_t>(in.gcount()));
    if (text.size() > max_bytes) {
      return absl::InvalidArgumentError(
          Concat(path, ": longer than the limit of ", max_bytes, " bytes"));
    }
  }
  if (in.bad()) return absl::UnavailableError(Concat(path, ": cannot read"));
  return text;
}

absl::Status WriteTextFile(const std::string& path, std::string_view text) {
  const std::string temporary = Concat(path, ".tmp.", getpid());
  std::ofstream out(temporary, std::ios::binary | std::ios::trunc);
  out.write(text.data(), static_cast<std::streamsize>(text.size()));
  out.close();
  if (!out || std::rename(temporary.c_str(), path.c_str()) != 0) {
    std::remove(temporary.c_str());
    return absl::UnavailableError(Concat(path, ": cannot write"));
  }
  return absl::OkStatus();
}

absl::StatusOr<nlohmann::json> ParseJson(std::string_view text, std::string_view name) {
  if (TooDeep(text)) {
    return absl::InvalidArgumentError(
        Concat(name, ": nests deeper than the limit of ", kMaxJsonDepth));
  }
  nlohmann::json document = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (document.is_discarded()) return absl::InvalidArgumentError(Concat(name, ": not valid JSON"));
  if (!document.is_object()) return absl::InvalidArgumentError(Concat(name, ": not a JSON object"));
  return document;
}

void JsonFields::Fail(std::string_view path, std::string_view what) {
  if (status_.ok()) status_ = absl::InvalidArgumentError(Concat(name_, ": ", path, " ", what));
}

const nlohmann::json* JsonFields::Look(std::string_view path) const {
  const nlohmann::json* node = &document_;
  for (const absl::string_view part : absl::StrSplit(ToAbsl(path), '.')) {
    if (!node->is_object()) return nullptr;
    const auto it = node->find(std::string(part));
    if (it == node->end() || it->is_null()) return nullptr;
    node = &*it;
  }
  return node;
}

const nlohmann::json* JsonFields::Need(std::string_view path) {
  if (!status_.ok()) return nullptr;
  const nlohmann::json* node = Look(path);
  if (node == nullptr) Fail(path, "is missing");
  return node;
}

int64_t JsonFields::Int(std::string_view path, int64_t low, int64_t high) {
  const nlohmann::json* node = Need(path);
  if (node == nullptr) return low;
  // A whole number written as 4.0 is what some exporters do.
  const double value = node->is_number() ? node->get<double>() : std::nan("");
  if (!(value == std::floor(value))) {
    Fail(path, "is not a whole number");
    return low;
  }
  if (value < static_cast<double>(low) || value > static_cast<double>(high)) {
    Fail(path, Concat("is ", value, ", outside [", low, ", ", high, "]"));
    return low;
  }
  return static_cast<int64_t>(value);
}

double JsonFields::Double(std::string_view path, double low, double high) {
  const nlohmann::json* node = Need(path);
  if (node == nullptr) return low;
  const double value = node->is_number() ? node->get<double>() : std::nan("");
  if (!(value >= low && value <= high)) {
    Fail(path, Concat("is not a number within [", low, ", ", high, "]"));
    return low;
  }
  return value;
}

std::string JsonFields::Text(std::string_view path) {
  const nlohmann::json* node = Need(path);
  if (node == nullptr) return "";
  if (!node->is_string()) {
    Fail(path, "is not a string");
    return "";
  }
  return node->get<std::string>();
}

std::vector<double> JsonFields::Doubles(std::string_view path, double low, double high) {
  const nlohmann::json* node = Need(path);
  std::vector<double> values;
  if (node == nullptr) return values;
  if (!node->is_array() || node->size() > kMaxListLength) {
    Fail(path, Concat("is not a list of at most ", kMaxListLength, " numbers"));
    return values;
  }
  for (const auto& item : *node) {
    const double value = item.is_number() ? item.get<double>() : std::nan("");
    if (!(value >= low && value <= high)) {
      Fail(path, Concat("has an entry that is not a number within [", low, ", ", high, "]"));
      return {};
    }
    values.push_back(value);
  }
  return values;
}

std::vector<int64_t> JsonFields::Ints(std::string_view path, int64_t low, int64_t high) {
  std::vector<int64_t> values;
  for (const double value : Doubles(path, static_cast<double>(low), static_cast<double>(high))) {
    if (value != std::floor(value)) {
      Fail(path, Concat("has the entry ", value, ", which is not a whole number"));
      return {};
    }
    values.push_back(static_cast<int64_t>(value));
  }
  return values;
}

std::vector<std::string> JsonFields::Texts(std::string_view path) {
  const nlohmann::json* node = Need(path);
  std::vector<std::string> values;
  if (node == nullptr) return values;
  const bool is_list = node->is_array() && node->size() <= kMaxListLength;
  if (!is_list) Fail(path, Concat("is not a list of at most ", kMaxListLength, " strings"));
  for (size_t i = 0; is_list && i < node->size(); ++i) {
    if (!(*node)[i].is_string()) {
      Fail(path, Concat("has an entry ", i, " that is not a string"));
      return {};
    }
    values.push_back((*node)[i].get<std::string>());
  }
  return values;
}

int64_t JsonFields::IntOr(std::string_view path, int64_t absent, int64_t low, int64_t high) {
  return Has(path) ? Int(path, low, high) : absent;
}

double JsonFields::DoubleOr(std::string_view path, double absent, double low, double high) {
  return Has(path) ? Double(path, low, high) : absent;
}

bool JsonFields::BoolOr(std::string_view path, bool absent) {
  const nlohmann::json* node = Look(path);
  if (node == nullptr) return absent;
  if (!node->is_boolean()) {
    Fail(path, "is not true or false");
    return absent;
  }
  return node->get<bool>();
}

void JsonFields::OnlyText(std::string_view path, std::string_view value) {
  if (!Has(path)) return;
  const std::string found = Text(path);
  if (status_.ok() && found != value) {
    Fail(path, Concat("is \"", found.substr(0, 40), "\"; only \"", value, "\" is supported"));
  }
}

void JsonFields::OnlyBool(std::string_view path, bool value) {
  if (BoolOr(path, value) != value) Fail(path, Concat("must be ", value ? "true" : "false"));
}

}  // namespace automot::model
