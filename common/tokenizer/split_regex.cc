#define PCRE2_CODE_UNIT_WIDTH 8
#include "common/tokenizer/split_regex.h"

#include <pcre2.h>

#include "common/checkpoint/text.h"
#include "common/tokenizer/unicode_versions.h"

namespace automot::model {
namespace {

constexpr uint32_t kMatchLimit = 10'000'000;

std::string ErrorText(int code) {
  PCRE2_UCHAR buffer[256] = {};
  pcre2_get_error_message(code, buffer, sizeof(buffer));
  return reinterpret_cast<const char*>(buffer);
}

// A character class without its brackets. PCRE2's \s takes U+180E for white space; Unicode, and the
// tokenizers that trained the vocabularies, do not. Empty for what PCRE2 understands alike.
std::string ClassOf(std::string_view escape) {
  if (escape == "\\s" || escape == "\\S") return R"(\t-\r\x{85}\p{Z})";
  if (escape == R"(\p{L})") return Concat(escape, kLaterLetters);
  if (escape == R"(\p{N})") return Concat(escape, kLaterNumbers);
  return "";
}

// The escape that `pattern` begins with: a backslash and a character, or \p{...}.
std::string_view FirstEscape(std::string_view pattern) {
  const size_t end = pattern.starts_with("\\p{") ? pattern.find('}') : std::string_view::npos;
  return pattern.substr(0, end == std::string_view::npos ? 2 : end + 1);
}

// The classes of white space, letters and numbers spelled out as the reference knows them. (\S
// inside a class has no such spelling and is kept.)
std::string WithReferenceClasses(std::string_view pattern) {
  std::string result;
  bool in_class = false;
  for (size_t i = 0; i < pattern.size();) {
    const char c = pattern[i];
    if (c != '\\') {
      if (c == '[') in_class = true;
      if (c == ']') in_class = false;
      result += c;
      ++i;
      continue;
    }
    const std::string_view escape = FirstEscape(pattern.substr(i));
    const std::string members = ClassOf(escape);
    if (members.empty() || (in_class && escape == "\\S")) {
      result += escape;
    } else {
      result += in_class ? members : Concat(escape == "\\S" ? "[^" : "[", members, "]");
    }
    i += escape.size();
  }
  return result;
}

struct MatchState {
  pcre2_match_data* data;
  pcre2_match_context* context;
  explicit MatchState(const pcre2_code* code)
      : data(pcre2_match_data_create_from_pattern(code, nullptr)),
        context(pcre2_match_context_create(nullptr)) {
    pcre2_set_match_limit(context, kMatchLimit);
  }
  ~MatchState() {
    pcre2_match_data_free(data);
    pcre2_match_context_free(context);
  }
  MatchState(const MatchState&) = delete;
  MatchState& operator=(const MatchState&) = delete;
};

}  // namespace

SplitRegex::SplitRegex(void* code)
    : code_(code, [](void* c) { pcre2_code_free(static_cast<pcre2_code*>(c)); }) {}

absl::StatusOr<SplitRegex> SplitRegex::Compile(const std::string& pattern) {
  const std::string translated = WithReferenceClasses(pattern);
  int error = 0;
  PCRE2_SIZE offset = 0;
  pcre2_code* code =
      pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
                    PCRE2_UTF | PCRE2_UCP, &error, &offset, nullptr);
  if (code == nullptr) {
    return absl::InvalidArgumentError(
        Concat("split expression: ", ErrorText(error), " at byte ", offset));
  }
  pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);  // failure only means that the interpreter runs it
  return SplitRegex(code);
}

absl::StatusOr<std::vector<std::string_view>> SplitRegex::Split(std::string_view text) const {
  const auto* code = static_cast<const pcre2_code*>(code_.get());
  MatchState state(code);
  std::vector<std::string_view> parts;
  size_t position = 0;  // all before it is in `parts`
  while (position < text.size()) {
    const int found = pcre2_match(code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(),
                                  position, PCRE2_NOTEMPTY, state.data, state.context);
    if (found == PCRE2_ERROR_NOMATCH) break;
    if (found < 0)
      return absl::InvalidArgumentError(Concat("text: split expression: ", ErrorText(found)));
    const PCRE2_SIZE* range = pcre2_get_ovector_pointer(state.data);
    if (range[0] > position) parts.push_back(text.substr(position, range[0] - position));
    parts.push_back(text.substr(range[0], range[1] - range[0]));
    position = range[1];
  }
  if (position < text.size()) parts.push_back(text.substr(position));
  return parts;
}

}  // namespace automot::model
