// A report for people. Pure.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace automot::tools {

// Of what ReportOn gave.
std::string ToText(const nlohmann::ordered_json& report);

}  // namespace automot::tools
