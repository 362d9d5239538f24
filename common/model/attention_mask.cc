#include "common/model/attention_mask.h"

#include <limits>

namespace automot::model {

at::Tensor AllowedBySpans(absl::Span<const AttentionSpan> spans) {
  int64_t tokens = 0;
  for (const AttentionSpan& span : spans) tokens += span.length;
  at::Tensor allowed = at::ones({tokens, tokens}, at::kBool).tril_();
  int64_t begin = 0;
  for (const AttentionSpan& span : spans) {
    if (span.mode == SpanMode::kFull) {
      allowed.narrow(0, begin, span.length).narrow(1, begin, span.length).fill_(true);
    }
    begin += span.length;
  }
  return allowed;
}

at::Tensor AllowedContinuation(int64_t before, int64_t rows) {
  return at::ones({rows, before + rows}, at::kBool).tril_(before);
}

at::Tensor AllowedByBlocks(absl::Span<const int64_t> block_lengths) {
  int64_t tokens = 0;
  for (const int64_t length : block_lengths) tokens += length;
  at::Tensor allowed = at::zeros({tokens, tokens}, at::kBool);
  int64_t begin = 0;
  for (const int64_t length : block_lengths) {
    allowed.narrow(0, begin, length).narrow(1, 0, begin + length).fill_(true);
    begin += length;
  }
  return allowed;
}

at::Tensor GroupedAdditiveMask(const at::Tensor& allowed, int64_t group,
                               const at::TensorOptions& options) {
  const at::Tensor mask =
      at::zeros(allowed.sizes(), at::kFloat)
          .masked_fill_(allowed.logical_not(), -std::numeric_limits<double>::infinity());
  return mask.repeat_interleave(group, 0).unsqueeze(0).to(options);
}

}  // namespace automot::model
