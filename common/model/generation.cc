#include "common/model/generation.h"

#include <algorithm>

namespace automot::model {

void Generation::Choose(const at::Tensor& logits, int64_t im_end) {
  logits_ = logits;
  int64_t id = 0;
  if (options_.sampling.greedy()) {
    id = logits.argmax().item<int64_t>();
  } else {
    const at::Tensor host = logits.cpu().contiguous();
    id = sampler_.Choose({host.const_data_ptr<float>(), static_cast<size_t>(host.numel())});
  }
  const bool stops = id == im_end || std::find(options_.stop_ids.begin(), options_.stop_ids.end(),
                                               id) != options_.stop_ids.end();
  token_.reset();
  if (stops) {
    end_ = GenerateEnd::kEndOfText;
    return;
  }
  token_ = id;
  if (++written_ >= options_.max_tokens) end_ = GenerateEnd::kLength;
}

}  // namespace automot::model
