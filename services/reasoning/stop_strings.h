// Ends a text at the first of some strings, while the text comes in pieces.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace automot::reasoning {

// Not thread-safe. Stop strings are not empty; they and the pieces are valid UTF-8, so nothing that
// leaves here is cut within a character.
class StopStrings {
 public:
  explicit StopStrings(std::vector<std::string> stops) : stops_(std::move(stops)) {}

  // What has become certain to come before any stop string, perhaps nothing. After `found`:
  // nothing.
  std::string Add(std::string_view piece) {
    if (found_) return {};
    waiting_ += piece;
    std::size_t end = std::string::npos;
    for (const std::string& stop : stops_) end = std::min(end, waiting_.find(stop));
    found_ = end != std::string::npos;
    if (!found_) end = waiting_.size() - BegunStop();
    std::string certain = waiting_.substr(0, end);
    waiting_ = found_ ? std::string() : waiting_.substr(end);
    return certain;
  }
  // The text has ended: what was held back was no stop string.
  std::string Finish() { return std::exchange(waiting_, {}); }

  bool found() const { return found_; }

 private:
  // Longest end of the waiting text that a stop string may begin with, bytes.
  std::size_t BegunStop() const {
    std::size_t longest = 0;
    for (const std::string& stop : stops_) {
      for (std::size_t n = std::min(stop.size() - 1, waiting_.size()); n > longest; --n) {
        if (std::string_view(waiting_).substr(waiting_.size() - n) ==
            std::string_view(stop).substr(0, n)) {
          longest = n;
        }
      }
    }
    return longest;
  }

  std::vector<std::string> stops_;
  std::string waiting_;
  bool found_ = false;
};

}  // namespace automot::reasoning
