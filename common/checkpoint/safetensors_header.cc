#include "common/checkpoint/safetensors_header.h"

#include <algorithm>
#include <limits>
#include <set>

#include "common/checkpoint/text.h"
#include "common/status/status_macros.h"
#include "nlohmann/json.hpp"

namespace automot::model {
namespace {

using Json = nlohmann::json;

// Walks the header without building a document, so that neither depth nor size of hostile text
// costs memory. The format has three levels: tensor name -> field -> value or list of numbers.
class HeaderSax : public nlohmann::json_sax<Json> {
 public:
  SafetensorsHeader header;
  std::string error;

  bool null() override { return Fail("null is not a value of the format"); }
  bool boolean(bool) override { return Fail("a boolean is not a value of the format"); }
  bool number_float(number_float_t, const string_t& text) override {
    return Fail(Concat("number ", text, " is not an unsigned 63-bit integer"));
  }
  bool number_integer(number_integer_t value) override {
    return Fail(Concat("number ", value, " is negative"));
  }
  bool number_unsigned(number_unsigned_t value) override {
    if (list_ == nullptr) return Fail(Concat("unexpected number ", value));
    if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
      return Fail(Concat("number ", value, " exceeds the limit of 2^63-1"));
    }
    if (list_->size() >= kMaxRank) return Fail(Concat("more than ", kMaxRank, " numbers"));
    list_->push_back(static_cast<int64_t>(value));
    return true;
  }
  bool binary(binary_t&) override { return Fail("binary value"); }

  bool string(string_t& value) override {
    if (depth_ == 2 && in_metadata_) {
      header.metadata[field_] = value;
      return true;
    }
    if (depth_ != 2 || field_ != "dtype") return Fail("unexpected string");
    auto dtype = ParseDType(value);
    if (!dtype.ok()) return Fail(std::string(dtype.status().message()));
    header.entries.back().dtype = *dtype;
    return true;
  }

  bool start_object(std::size_t) override {
    if (list_ != nullptr || depth_ >= 2) return Fail("nested deeper than the format's two objects");
    ++depth_;
    return true;
  }
  bool end_object() override {
    if (--depth_ == 1 && !in_metadata_) return FinishEntry();
    return true;
  }
  bool start_array(std::size_t) override {
    if (list_ != nullptr || depth_ != 2 || in_metadata_) return Fail("unexpected list");
    if (field_ == "shape") list_ = &header.entries.back().shape;
    if (field_ == "data_offsets") list_ = &offsets_;
    return list_ != nullptr || Fail("unexpected list");
  }
  bool end_array() override {
    list_ = nullptr;
    return true;
  }
  bool key(string_t& value) override { return depth_ == 1 ? StartEntry(value) : StartField(value); }
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    return Fail(Concat("not valid JSON at byte ", position));
  }

 private:
  bool Fail(std::string what) {
    const std::string where = tensor_.empty() ? "" : Concat("tensor \"", tensor_, "\": ");
    error = Concat(where, field_.empty() ? "" : Concat("field \"", field_, "\": "), what);
    return false;
  }

  bool StartEntry(const std::string& name) {
    field_.clear();
    fields_.clear();
    offsets_.clear();
    tensor_ = name.substr(0, 200);
    if (name.size() > kMaxNameBytes) {
      return Fail(Concat("name of ", name.size(), " bytes exceeds the limit of ", kMaxNameBytes));
    }
    if (!names_.insert(name).second) return Fail("name appears twice");
    in_metadata_ = name == "__metadata__";
    if (in_metadata_) return true;
    if (header.entries.size() >= kMaxTensors)
      return Fail(Concat("more than ", kMaxTensors, " tensors"));
    header.entries.push_back({.name = name});
    return true;
  }

  bool StartField(const std::string& name) {
    field_ = name.substr(0, 200);
    if (!fields_.insert(name).second) return Fail("field appears twice");
    const bool known = name == "dtype" || name == "shape" || name == "data_offsets";
    return known || in_metadata_ || Fail("unknown field");
  }

  bool FinishEntry() {
    field_.clear();
    HeaderEntry& entry = header.entries.back();
    if (fields_.size() != 3) return Fail("needs dtype, shape and data_offsets");
    if (offsets_.size() != 2)
      return Fail(Concat("data_offsets has ", offsets_.size(), " numbers, not 2"));
    entry.begin = static_cast<uint64_t>(offsets_[0]);
    entry.end = static_cast<uint64_t>(offsets_[1]);
    tensor_.clear();
    return true;
  }

  int depth_ = 0;
  bool in_metadata_ = false;
  std::string tensor_, field_;
  std::set<std::string> names_, fields_;
  std::vector<int64_t> offsets_;
  std::vector<int64_t>* list_ = nullptr;
};

absl::Status CheckEntry(const HeaderEntry& entry, uint64_t expected_begin, uint64_t data_bytes) {
  const auto fail = [&](const auto&... parts) {
    return absl::InvalidArgumentError(Concat("safetensors header: tensor \"", entry.name,
                                             "\": data_offsets [", entry.begin, ", ", entry.end,
                                             "] ", parts...));
  };
  if (entry.end < entry.begin) return fail("end before they begin");
  if (entry.end > data_bytes) return fail("leave the data section of ", data_bytes, " bytes");
  if (entry.begin < expected_begin)
    return fail("overlap the tensor before, which ends at ", expected_begin);
  if (entry.begin > expected_begin) return fail("leave a gap after ", expected_begin);
  auto bytes = TensorBytes(entry.dtype, entry.shape);
  if (!bytes.ok()) return fail("with ", bytes.status().message());
  if (*bytes != entry.end - entry.begin) {
    return fail("hold ", entry.end - entry.begin, " bytes, but ", DTypeName(entry.dtype), " ",
                ShapeText(entry.shape), " needs ", *bytes);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<uint64_t> TensorBytes(DType dtype, absl::Span<const int64_t> shape) {
  uint64_t bytes = DTypeSize(dtype);
  bool empty = false;
  for (const int64_t dimension : shape) {
    if (dimension < 0) {
      return absl::InvalidArgumentError(Concat("shape ", ShapeText(shape), ": negative dimension"));
    }
    if (dimension == 0) {
      empty = true;
      continue;
    }
    if (__builtin_mul_overflow(bytes, static_cast<uint64_t>(dimension), &bytes)) {
      return absl::InvalidArgumentError(
          Concat("shape ", ShapeText(shape), ": byte size exceeds the limit of 2^64-1"));
    }
  }
  return empty ? 0 : bytes;
}

absl::StatusOr<SafetensorsHeader> ParseSafetensorsHeader(std::string_view json,
                                                         uint64_t data_bytes) {
  if (json.size() > kMaxHeaderBytes) {
    return absl::InvalidArgumentError(Concat("safetensors header: length ", json.size(),
                                             " exceeds the limit of ", kMaxHeaderBytes));
  }
  if (json.empty() || json.front() != '{') {
    return absl::InvalidArgumentError("safetensors header: does not begin with '{'");
  }
  HeaderSax sax;
  if (!Json::sax_parse(json.begin(), json.end(), &sax)) {
    return absl::InvalidArgumentError(Concat("safetensors header: ", sax.error));
  }
  auto& entries = sax.header.entries;
  std::sort(entries.begin(), entries.end(), [](const HeaderEntry& a, const HeaderEntry& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  uint64_t position = 0;
  for (const HeaderEntry& entry : entries) {
    AUTOMOT_RETURN_IF_ERROR(CheckEntry(entry, position, data_bytes));
    position = entry.end;
  }
  if (position != data_bytes) {
    return absl::InvalidArgumentError(
        Concat("safetensors header: tensors cover ", position, " of ", data_bytes, " data bytes"));
  }
  return std::move(sax.header);
}

}  // namespace automot::model
