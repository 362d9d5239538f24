// Input: the documents of a checkpoint and changes to its tensors' shapes, separated by the byte
// 0x1E: config, bev_config, preprocessor_config, tokenizer, automot_dims, {"name": [shape] or
// null}, manifest. They are refused, or give a geometry whose relations hold and whose tensors can
// be listed.
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/checkpoint/derive_geometry.h"
#include "common/checkpoint/json_file.h"
#include "common/checkpoint/layout.h"
#include "common/checkpoint/manifest.h"
#include "common/checkpoint/safetensors_header.h"
#include "common/checkpoint/tensor_check.h"
#include "tests/fuzz/byte_source.h"
#include "tests/fuzz/fuzz_check.h"
#include "tools/make_checkpoint/presets.h"

namespace automot::model {
namespace {

using Views = std::map<std::string, TensorView, std::less<>>;

const Views& TinyTensors() {
  static const auto* views = [] {
    auto* made = new Views;
    const auto geometry = PresetGeometry("tiny");
    fuzz::Check(geometry.ok(), "the preset");
    for (const ExpectedTensor& tensor : ExpectedTensors(*geometry)) {
      if (tensor.optional) continue;
      const DType dtype = tensor.role == TensorRole::kCounter ? DType::kI64 : DType::kF32;
      made->insert({tensor.name, {.name = tensor.name, .dtype = dtype, .shape = tensor.shape}});
    }
    return made;
  }();
  return *views;
}

// The tiny tensors with changes: a tensor of another shape, or none.
using Changes = std::map<std::string, std::optional<TensorView>, std::less<>>;

// Shapes as a parsed file header could give them: no negative size, rank 8 at most.
Changes ReadChanges(std::string_view text) {
  Changes changes;
  const auto document = ParseJson(text, "shapes");
  if (!document.ok()) return changes;
  for (const auto& [name, shape] : document->items()) {
    if (shape.is_null()) changes[name] = std::nullopt;
    if (!shape.is_array() || shape.size() > kMaxRank) continue;
    TensorView view{.name = name};
    for (const auto& size : shape) {
      if (!size.is_number_integer() || size.get<int64_t>() < 0) return changes;
      view.shape.push_back(size.get<int64_t>());
    }
    changes[name] = std::move(view);
  }
  return changes;
}

void CheckGeometry(const SideFiles& files, const Changes& changes) {
  const TensorLookup find = [&](std::string_view name) -> const TensorView* {
    if (const auto it = changes.find(name); it != changes.end()) {
      return it->second ? &*it->second : nullptr;
    }
    const auto it = TinyTensors().find(name);
    return it == TinyTensors().end() ? nullptr : &it->second;
  };
  const auto derived = DeriveGeometry(files, find);
  if (!derived.ok()) return;
  std::vector<const TensorView*> tensors;
  for (const auto& [name, view] : TinyTensors()) {
    if (changes.count(name) == 0) tensors.push_back(&view);
  }
  for (const auto& [name, view] : changes) {
    if (view) tensors.push_back(&*view);
  }
  const absl::Status same = CheckTensors(derived->geometry, tensors, find);
  fuzz::Check(same.ok() || !same.message().empty(), "a message");
  if (!derived->sizes.ok()) return;
  fuzz::Check(ValidateGeometry(derived->geometry).ok(), "relations hold");
  for (const ExpectedTensor& tensor : ExpectedTensors(derived->geometry)) {
    for (const int64_t size : tensor.shape) fuzz::Check(size > 0, "sizes are positive");
  }
}

}  // namespace
}  // namespace automot::model

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace automot::model;
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  const auto next = [&] { return std::string(automot::fuzz::CutBefore(rest, '\x1E')); };
  SideTexts texts;
  texts.config = next();
  texts.bev_config = next();
  texts.preprocessor_config = next();
  texts.tokenizer = next();
  if (std::string dims = next(); !dims.empty()) texts.dims = std::move(dims);
  const Changes changes = ReadChanges(next());
  static_cast<void>(ParseManifest(next()).ok());
  if (const auto files = ParseSideFiles(texts); files.ok()) CheckGeometry(*files, changes);
  return 0;
}
