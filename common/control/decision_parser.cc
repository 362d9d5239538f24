#include "common/control/decision_parser.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/string_view.h"

namespace automot::control {
namespace {

constexpr std::array<std::pair<std::string_view, LongitudinalAction>, 4> kLongitudinal = {{
    {"stop", LongitudinalAction::kStop},
    {"slow", LongitudinalAction::kSlow},
    {"keep", LongitudinalAction::kKeep},
    {"accelerate", LongitudinalAction::kAccelerate},
}};
constexpr std::array<std::pair<std::string_view, LateralAction>, 5> kLateral = {{
    {"turn left", LateralAction::kTurnLeft},
    {"slight left", LateralAction::kSlightLeft},
    {"go straight", LateralAction::kGoStraight},
    {"slight right", LateralAction::kSlightRight},
    {"turn right", LateralAction::kTurnRight},
}};

template <typename Words>
auto Find(const Words& words, std::string_view text) {
  using Action = typename Words::value_type::second_type;
  for (const auto& [word, action] : words) {
    if (word == text) return std::optional<Action>(action);
  }
  return std::optional<Action>();
}

std::string_view Strip(std::string_view text) {
  const absl::string_view stripped =
      absl::StripAsciiWhitespace(absl::string_view(text.data(), text.size()));
  return {stripped.data(), stripped.size()};
}

// One comma-separated part, collected without its markers and without leading white space. The
// buffer is longer than any word and than the text that a slot keeps.
class Part {
 public:
  void Add(char c) {
    const bool space = absl::ascii_isspace(static_cast<unsigned char>(c));
    if (size_ == 0 && space) return;
    if (size_ < buffer_.size()) {
      buffer_[size_++] = c;
    } else if (!space) {
      cut_ = true;
    }
  }
  std::string_view text() const { return Strip({buffer_.data(), size_}); }
  bool cut() const { return cut_; }  // there is more than text()
  void Clear() {
    size_ = 0;
    cut_ = false;
  }

 private:
  std::array<char, 64> buffer_{};
  std::size_t size_ = 0;
  bool cut_ = false;
};

// Length of the marker that `text` begins with, else 0.
std::size_t MarkerAt(std::string_view text) {
  for (const std::string_view marker : {kImStartText, kImEndText}) {
    if (text.substr(0, marker.size()) == marker) return marker.size();
  }
  return 0;
}

DecisionSlot MakeSlot(const Part& part, SessionTimeUs time_us, float probability) {
  const std::string_view text = part.text();
  const std::string_view word = part.cut() ? std::string_view() : text;
  DecisionSlot slot;
  slot.time_us = time_us;
  slot.text.Assign(text);
  if (const auto action = Find(kLongitudinal, word)) {
    slot.longitudinal = *action;
  } else if (const auto lateral = Find(kLateral, word)) {
    slot.lateral = *lateral;
  } else {
    slot.longitudinal = LongitudinalAction::kUnparsed;
    return slot;
  }
  slot.probability = probability;
  return slot;
}

}  // namespace

absl::Span<const int64_t> DecisionTokenSpan(absl::Span<const int64_t> ids, int64_t im_start,
                                            int64_t im_end) {
  const auto* const begin = std::find(ids.begin(), ids.end(), im_start);
  if (begin == ids.end()) return ids;
  const auto* end = std::find_if(begin + 1, ids.end(),
                                 [&](int64_t id) { return id == im_start || id == im_end; });
  if (end != ids.end() && *end == im_end) ++end;
  return {begin, static_cast<std::size_t>(end - begin)};
}

Decision ParseDecision(std::string_view text, SessionTimeUs capture_time_us,
                       absl::Span<const double> offsets_s,
                       absl::Span<const float> part_probabilities) {
  const std::size_t slots = std::min<std::size_t>(kDecisionSlots, offsets_s.size());
  Decision decision;
  Part part;
  const auto finish_part = [&] {
    const std::size_t i = decision.slot_count++;
    const auto offset_us = static_cast<SessionTimeUs>(std::llround(offsets_s[i] * 1e6));
    decision.slots[i] = MakeSlot(part, capture_time_us + offset_us,
                                 i < part_probabilities.size() ? part_probabilities[i] : 0.0F);
    part.Clear();
  };
  for (std::size_t at = 0; at < text.size() && decision.slot_count < slots;) {
    if (const std::size_t marker = MarkerAt(text.substr(at)); marker > 0) {
      at += marker;
      continue;
    }
    const char c = text[at++];
    if (c == ',') {
      finish_part();
    } else {
      part.Add(c);
    }
  }
  if (decision.slot_count < slots) finish_part();
  return decision;
}

}  // namespace automot::control
