#include "common/runtime/announce.h"

#include <cstdio>
#include <nlohmann/json.hpp>

namespace automot {

void AnnounceListening(std::initializer_list<std::pair<const char*, std::string>> addresses) {
  nlohmann::ordered_json line;
  line["event"] = "listening";
  for (const auto& [name, address] : addresses) line[name] = address;
  std::printf("%s\n", line.dump().c_str());
  std::fflush(stdout);
}

}  // namespace automot
