#include "common/checkpoint/tensor_check.h"

#include <set>
#include <string>
#include <utility>

#include "common/checkpoint/layout.h"
#include "common/checkpoint/problem_list.h"
#include "common/checkpoint/text.h"

namespace automot::model {
namespace {

// Empty if the tensor is as expected.
std::string Mismatch(const ExpectedTensor& expected, const TensorView& found) {
  if (found.shape != expected.shape) {
    return Concat("shape of ", expected.name, " is ", ShapeText(found.shape), ", expected ",
                  ShapeText(expected.shape));
  }
  const bool counter = expected.role == TensorRole::kCounter;
  const bool fits = counter ? found.dtype == DType::kI64
                            : found.dtype == DType::kF32 || found.dtype == DType::kF16 ||
                                  found.dtype == DType::kBF16;
  if (fits) return "";
  return Concat("dtype of ", expected.name, " is ", DTypeName(found.dtype), ", expected ",
                counter ? "I64" : "F32, F16 or BF16");
}

}  // namespace

absl::Status CheckTensors(const ModelGeometry& geometry,
                          const std::vector<const TensorView*>& tensors, const TensorLookup& find) {
  ProblemList problems;
  std::set<std::string_view> known;
  const std::vector<ExpectedTensor> table = ExpectedTensors(geometry);
  for (const ExpectedTensor& expected : table) {
    known.insert(expected.name);
    const TensorView* found = find(expected.name);
    if (found == nullptr) {
      if (!expected.optional)
        problems.Add(Concat("missing ", expected.name, " ", ShapeText(expected.shape)));
      continue;
    }
    if (std::string problem = Mismatch(expected, *found); !problem.empty())
      problems.Add(std::move(problem));
  }
  for (const TensorView* tensor : tensors) {
    if (known.count(tensor->name) == 0)
      problems.Add(Concat("unexpected ", ShownName(tensor->name), " ", ShapeText(tensor->shape)));
  }
  return problems.ToStatus("checkpoint", "tensor problem");
}

}  // namespace automot::model
