// AUTOMOT_RETURN_IF_ERROR(expr) and AUTOMOT_ASSIGN_OR_RETURN(lhs, expr): leave the function with
// the error, if any. (Debian's Abseil has no status_macros.h.)
#pragma once

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define AUTOMOT_RETURN_IF_ERROR(expr)                         \
  do {                                                        \
    if (auto automot_status = (expr); !automot_status.ok()) { \
      return automot_status;                                  \
    }                                                         \
  } while (false)

#define AUTOMOT_STATUS_CONCAT_INNER(a, b) a##b
#define AUTOMOT_STATUS_CONCAT(a, b) AUTOMOT_STATUS_CONCAT_INNER(a, b)
#define AUTOMOT_ASSIGN_OR_RETURN(lhs, expr) \
  AUTOMOT_ASSIGN_OR_RETURN_IMPL(AUTOMOT_STATUS_CONCAT(automot_or_, __LINE__), lhs, expr)
#define AUTOMOT_ASSIGN_OR_RETURN_IMPL(temporary, lhs, expr) \
  auto temporary = (expr);                                  \
  if (!temporary.ok()) return temporary.status();           \
  lhs = std::move(temporary).value()
