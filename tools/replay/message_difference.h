// The first field in which two messages of one type differ. Pure.
#pragma once

#include <google/protobuf/message.h>

#include <optional>
#include <set>
#include <string>

namespace automot::tools {

struct FieldDifference {
  std::string field;  // path, as in trajectory.route[3].x
  std::string recorded;
  std::string replayed;
};

struct ComparisonOptions {
  double tolerance = 0.0;         // of floating-point fields; 0: bit for bit
  std::set<std::string> ignored;  // paths whose fields are not compared
};

// In the order of the fields' numbers. Floating-point values are equal where their bits are, NaN
// included.
std::optional<FieldDifference> FirstDifference(const google::protobuf::Message& recorded,
                                               const google::protobuf::Message& replayed,
                                               const ComparisonOptions& options,
                                               const std::string& path = "");

}  // namespace automot::tools
