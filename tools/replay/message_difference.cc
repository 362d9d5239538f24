#include "tools/replay/message_difference.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/text_format.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace automot::tools {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

constexpr int kNotRepeated = -1;
constexpr char kAbsent[] = "absent";

// One value of a field: of the field itself, or the element of a repeated one.
struct Value {
  const Message& message;
  const FieldDescriptor* field;
  int index;

  std::string Text() const {
    std::string text;
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_DOUBLE ||
        field->cpp_type() == FieldDescriptor::CPPTYPE_FLOAT) {
      return absl::StrFormat("%.17g", Number());
    }
    google::protobuf::TextFormat::PrintFieldValueToString(message, field, index, &text);
    return text;
  }
  double Number() const {
    const Reflection& reflection = *message.GetReflection();
    const bool wide = field->cpp_type() == FieldDescriptor::CPPTYPE_DOUBLE;
    if (index == kNotRepeated) {
      return wide ? reflection.GetDouble(message, field) : reflection.GetFloat(message, field);
    }
    return wide ? reflection.GetRepeatedDouble(message, field, index)
                : reflection.GetRepeatedFloat(message, field, index);
  }
  const Message& Submessage() const {
    const Reflection& reflection = *message.GetReflection();
    return index == kNotRepeated ? reflection.GetMessage(message, field)
                                 : reflection.GetRepeatedMessage(message, field, index);
  }
};

bool EqualNumbers(double a, double b, double tolerance) {
  if (std::bit_cast<uint64_t>(a) == std::bit_cast<uint64_t>(b)) return true;
  return tolerance > 0.0 && std::abs(a - b) <= tolerance;
}

std::optional<FieldDifference> CompareValues(const Value& recorded, const Value& replayed,
                                             const ComparisonOptions& options,
                                             const std::string& path) {
  switch (recorded.field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return FirstDifference(recorded.Submessage(), replayed.Submessage(), options, path);
    case FieldDescriptor::CPPTYPE_DOUBLE:
    case FieldDescriptor::CPPTYPE_FLOAT:
      if (EqualNumbers(recorded.Number(), replayed.Number(), options.tolerance)) {
        return std::nullopt;
      }
      break;
    default:
      if (recorded.Text() == replayed.Text()) return std::nullopt;
  }
  return FieldDifference{path, recorded.Text(), replayed.Text()};
}

std::optional<FieldDifference> CompareRepeated(const Message& recorded, const Message& replayed,
                                               const FieldDescriptor* field,
                                               const ComparisonOptions& options,
                                               const std::string& path) {
  const int of_recorded = recorded.GetReflection()->FieldSize(recorded, field);
  const int of_replayed = replayed.GetReflection()->FieldSize(replayed, field);
  if (of_recorded != of_replayed) {
    return FieldDifference{path, absl::StrCat(of_recorded, " elements"),
                           absl::StrCat(of_replayed, " elements")};
  }
  for (int i = 0; i < of_recorded; ++i) {
    auto difference = CompareValues({recorded, field, i}, {replayed, field, i}, options,
                                    absl::StrCat(path, "[", i, "]"));
    if (difference) return difference;
  }
  return std::nullopt;
}

std::optional<FieldDifference> CompareField(const Message& recorded, const Message& replayed,
                                            const FieldDescriptor* field,
                                            const ComparisonOptions& options,
                                            const std::string& path) {
  if (field->is_repeated()) return CompareRepeated(recorded, replayed, field, options, path);
  const Value a{recorded, field, kNotRepeated};
  const Value b{replayed, field, kNotRepeated};
  if (field->has_presence()) {
    const bool in_recorded = recorded.GetReflection()->HasField(recorded, field);
    const bool in_replayed = replayed.GetReflection()->HasField(replayed, field);
    if (!in_recorded && !in_replayed) return std::nullopt;
    if (in_recorded != in_replayed) {
      return FieldDifference{path, in_recorded ? a.Text() : kAbsent,
                             in_replayed ? b.Text() : kAbsent};
    }
  }
  return CompareValues(a, b, options, path);
}

}  // namespace

std::optional<FieldDifference> FirstDifference(const Message& recorded, const Message& replayed,
                                               const ComparisonOptions& options,
                                               const std::string& path) {
  const google::protobuf::Descriptor* type = recorded.GetDescriptor();
  for (int i = 0; i < type->field_count(); ++i) {
    const FieldDescriptor* field = type->field(i);
    const std::string of_field = absl::StrCat(path, path.empty() ? "" : ".", field->name());
    if (options.ignored.contains(of_field)) continue;
    auto difference = CompareField(recorded, replayed, field, options, of_field);
    if (difference) return difference;
  }
  return std::nullopt;
}

}  // namespace automot::tools
