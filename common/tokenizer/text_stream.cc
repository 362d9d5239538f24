#include "common/tokenizer/text_stream.h"

#include <utility>

#include "common/tokenizer/utf8.h"

namespace automot::model {

std::string TextStream::Add(int64_t id) {
  std::string bytes = std::move(waiting_) + tokenizer_.DecodeBytes({&id, 1}, skip_special_);
  const size_t certain = bytes.size() - UnfinishedTail(bytes);
  waiting_ = bytes.substr(certain);
  bytes.resize(certain);
  return LossyUtf8(bytes);
}

std::string TextStream::Finish() { return LossyUtf8(std::exchange(waiting_, {})); }

}  // namespace automot::model
