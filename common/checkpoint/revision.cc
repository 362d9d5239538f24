#include "common/checkpoint/revision.h"

#include <xxhash.h>

#include "absl/strings/escaping.h"
#include "common/checkpoint/text.h"

namespace automot::model {
namespace {

std::string HashHex(const void* data, size_t size) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits(data, size));
  return absl::BytesToHexString(
      {reinterpret_cast<const char*>(canonical.digest), sizeof(canonical.digest)});
}

}  // namespace

std::string ComputeRevision(const std::vector<const TensorView*>& tensors,
                            std::string_view side_files) {
  std::string manifest = "automot-manifest-1\n";
  for (const TensorView* tensor : tensors) {
    // The length keeps a name with a line break from imitating another line.
    Append(&manifest, tensor->name.size(), ":", tensor->name, " ", DTypeName(tensor->dtype), " ",
           ShapeText(tensor->shape), " ", HashHex(tensor->bytes.data(), tensor->bytes.size()),
           "\n");
  }
  Append(&manifest, "side files ", HashHex(side_files.data(), side_files.size()), "\n");
  return HashHex(manifest.data(), manifest.size());
}

}  // namespace automot::model
