// String building that takes std::string_view. (Debian's Abseil is built for C++14: its string_view
// is a type of its own, and absl::StrCat refuses the standard one.)
#pragma once

#include <string>
#include <string_view>
#include <type_traits>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace automot::model {

inline absl::string_view ToAbsl(std::string_view text) { return {text.data(), text.size()}; }

template <typename T>
decltype(auto) Printable(const T& value) {
  if constexpr (std::is_same_v<T, std::string_view>) {
    return ToAbsl(value);
  } else {
    return (value);
  }
}

template <typename... Parts>
std::string Concat(const Parts&... parts) {
  return absl::StrCat(Printable(parts)...);
}

template <typename... Parts>
void Append(std::string* out, const Parts&... parts) {
  absl::StrAppend(out, Printable(parts)...);
}

}  // namespace automot::model
