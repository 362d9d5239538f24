// The first line on stdout: what the process listens on (design 7).
#pragma once

#include <initializer_list>
#include <string>
#include <utility>

namespace automot {

// Prints {"event":"listening","planning":"...",...} and flushes.
void AnnounceListening(std::initializer_list<std::pair<const char*, std::string>> addresses);

}  // namespace automot
