// Numbers and choices out of a fuzzer's bytes; zeros when they are used up.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace automot::fuzz {

// Borrows the bytes.
class ByteSource {
 public:
  ByteSource(const uint8_t* data, size_t size) : data_(data), left_(size) {}

  bool empty() const { return left_ == 0; }
  template <typename T>
  T Take() {
    T value{};
    const size_t bytes = std::min(sizeof(T), left_);
    if (bytes > 0) std::memcpy(&value, data_, bytes);
    data_ += bytes;
    left_ -= bytes;
    return value;
  }
  // Below `limit`, which is in [1, 256].
  unsigned Choose(unsigned limit) { return Take<uint8_t>() % limit; }
  // At most 255 bytes.
  std::string Text() {
    std::string text(Take<uint8_t>(), '\0');
    for (char& c : text) c = static_cast<char>(Take<uint8_t>());
    return text;
  }

 private:
  const uint8_t* data_;
  size_t left_;
};

// Cuts `text` before the next `separator` and takes both off; the whole where there is none.
inline std::string_view CutBefore(std::string_view& text, char separator) {
  const size_t at = text.find(separator);
  const std::string_view part = text.substr(0, at);
  text.remove_prefix(at == text.npos ? text.size() : at + 1);
  return part;
}

}  // namespace automot::fuzz
