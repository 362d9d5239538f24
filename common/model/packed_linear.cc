#include "common/model/packed_linear.h"

#include <ATen/Config.h>
#include <ATen/core/dispatch/Dispatcher.h>

#include <optional>

namespace automot::model {
namespace {

// The layout is chosen for about this many rows: the action expert's sequence. Others run well too.
constexpr int64_t kTypicalRows = 101;

using Reorder = at::Tensor(const at::Tensor&, std::optional<c10::SymInt>);
using Unary = at::Tensor(const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&,
                         std::string_view, c10::List<std::optional<at::Scalar>>,
                         std::optional<std::string_view>);
using Binary = at::Tensor(const at::Tensor&, const at::Tensor&, const at::Tensor&,
                          const std::optional<at::Tensor>&, std::string_view);

template <typename Signature>
c10::TypedOperatorHandle<Signature> Operator(const char* name, const char* overload) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, overload).typed<Signature>();
}

std::optional<at::Tensor> Optional(const at::Tensor& tensor) {
  return tensor.defined() ? std::optional<at::Tensor>(tensor) : std::nullopt;
}

at::Tensor RunUnary(const at::Tensor& rows, const at::Tensor& weight, const at::Tensor& bias,
                    std::string_view activation) {
  static const auto kOperator = Operator<Unary>("mkldnn::_linear_pointwise", "");
  return kOperator.call(rows, weight, Optional(bias), activation,
                        c10::List<std::optional<at::Scalar>>(), std::nullopt);
}

at::Tensor RunBinary(const at::Tensor& rows, const at::Tensor& other, const at::Tensor& weight,
                     const at::Tensor& bias, std::string_view operation) {
  static const auto kOperator = Operator<Binary>("mkldnn::_linear_pointwise", "binary");
  return kOperator.call(rows, other, weight, Optional(bias), operation);
}

// oneDNN takes bfloat16 only with AVX-512.
bool CanPack(const at::Tensor& weight) {
  if (!at::hasMKLDNN() || !weight.device().is_cpu()) return false;
  return weight.scalar_type() == at::kFloat ||
         (weight.scalar_type() == at::kBFloat16 && __builtin_cpu_supports("avx512bw") &&
          __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"));
}

}  // namespace

PackedLinear::PackedLinear(const at::Tensor& weight, const at::Tensor& bias)
    : weight_(weight),
      bias_(bias),
      out_features_(weight.size(0)),
      packed_(!weight.requires_grad() && CanPack(weight)) {
  if (!packed_) return;
  static const auto kReorder = Operator<Reorder>("mkldnn::_reorder_linear_weight", "");
  weight_ = kReorder.call(weight.contiguous(), c10::SymInt(kTypicalRows));
}

at::Tensor PackedLinear::Apply(const at::Tensor& rows) const {
  if (packed_) return RunUnary(rows, weight_, bias_, "none");
  return at::linear(rows, weight_, Optional(bias_));
}

at::Tensor PackedLinear::ApplySilu(const at::Tensor& rows) const {
  if (packed_) return RunUnary(rows, weight_, bias_, "swish");
  at::Tensor out = at::linear(rows, weight_, Optional(bias_));
  return at::silu_(out);
}

at::Tensor PackedLinear::ApplyTimes(const at::Tensor& rows, const at::Tensor& factor) const {
  if (packed_) return RunBinary(rows, factor, weight_, bias_, "mul");
  return at::linear(rows, weight_, Optional(bias_)).mul_(factor);
}

at::Tensor PackedLinear::ApplyPlus(const at::Tensor& rows, const at::Tensor& residual) const {
  if (packed_) return RunBinary(rows, residual, weight_, bias_, "add");
  at::Tensor out = at::addmm(residual, rows, weight_.t());
  return bias_.defined() ? out.add_(bias_) : out;
}

}  // namespace automot::model
