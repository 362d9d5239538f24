#include "common/checkpoint/revision.h"

#include "common/checkpoint/content_hash.h"
#include "common/checkpoint/text.h"

namespace automot::model {

std::string ComputeRevision(const std::vector<const TensorView*>& tensors,
                            const TensorHashes& hashes, std::string_view side_files) {
  std::string manifest = "automot-manifest-1\n";
  for (const TensorView* tensor : tensors) {
    // The length keeps a name with a line break from imitating another line.
    Append(&manifest, tensor->name.size(), ":", tensor->name, " ", DTypeName(tensor->dtype), " ",
           ShapeText(tensor->shape), " ", hashes.find(tensor->name)->second, "\n");
  }
  Append(&manifest, "side files ", HashHex(side_files), "\n");
  return HashHex(manifest);
}

}  // namespace automot::model
