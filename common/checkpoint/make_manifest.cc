#include "common/checkpoint/make_manifest.h"

#include <memory>
#include <utility>

#include "common/checkpoint/byte_progress.h"
#include "common/checkpoint/content_hash.h"
#include "common/checkpoint/problem_list.h"
#include "common/checkpoint/text.h"
#include "common/status/status_macros.h"

namespace automot::model {
namespace {

// Which side lacks what; `only_stored`, `only_found` and `differs` say it of one name.
struct Wording {
  std::string_view only_stored, only_found, differs;
};

void Compare(const TensorHashes& stored, const TensorHashes& found, const Wording& wording,
             std::vector<std::string>& lines) {
  for (const auto& [name, hash] : stored) {
    const auto it = found.find(name);
    if (it == found.end()) {
      lines.push_back(Concat(wording.only_stored, " ", ShownName(name)));
    } else if (!wording.differs.empty() && it->second != hash) {
      lines.push_back(Concat(wording.differs, " ", ShownName(name)));
    }
  }
  for (const auto& [name, hash] : found) {
    if (stored.count(name) == 0) lines.push_back(Concat(wording.only_found, " ", ShownName(name)));
  }
}

TensorHashes NamesIn(const SafetensorsFile& file) {
  TensorHashes names;
  for (const TensorView& tensor : file.tensors()) names.emplace(CanonicalName(tensor.name), "");
  return names;
}

TensorHashes HashFiles(const std::vector<const SafetensorsFile*>& files) {
  std::vector<std::unique_ptr<TensorView>> canonical;
  std::vector<const TensorView*> tensors;
  for (const SafetensorsFile* file : files) {
    for (const TensorView& tensor : file->tensors()) {
      canonical.push_back(std::make_unique<TensorView>(tensor));
      canonical.back()->name = CanonicalName(tensor.name);
      tensors.push_back(canonical.back().get());
    }
  }
  return HashTensors(tensors, files);
}

}  // namespace

TensorHashes HashTensors(const std::vector<const TensorView*>& tensors,
                         const std::vector<const SafetensorsFile*>& files) {
  uint64_t total = 0;
  for (const TensorView* tensor : tensors) total += tensor->bytes.size();
  ByteProgress progress("digest", total);
  TensorHashes hashes;
  for (const TensorView* tensor : tensors) {
    ContentHash hash;
    for (const SafetensorsFile* file : files) {
      if (file == nullptr || !file->Holds(tensor->bytes)) continue;
      file->Stream(tensor->bytes, [&](absl::Span<const std::byte> piece) {
        hash.Update(piece);
        progress.Add(piece.size());
      });
      break;
    }
    hashes.insert_or_assign(tensor->name, hash.Hex());
  }
  return hashes;
}

absl::StatusOr<CheckpointManifest> MakeManifest(const std::string& directory) {
  AUTOMOT_ASSIGN_OR_RETURN(const TensorFiles base, OpenBaseFiles(directory));
  auto ema = OpenEmaFile(directory);
  if (!ema.ok() && !absl::IsNotFound(ema.status())) return ema.status();
  std::vector<const SafetensorsFile*> files;
  for (const auto& file : base) files.push_back(file.get());
  CheckpointManifest manifest;
  manifest.tensors = HashFiles(files);
  if (ema.ok()) manifest.ema_tensors = HashFiles({ema->get()});
  return manifest;
}

absl::Status CheckManifestNames(const CheckpointManifest& manifest, const TensorFiles& base,
                                const SafetensorsFile* ema) {
  std::vector<std::string> lines;
  const Wording wording = {"names a tensor that is not stored:", "does not name", ""};
  TensorHashes names;
  for (const auto& file : base) names.merge(NamesIn(*file));
  Compare(manifest.tensors, names, wording, lines);
  if (ema != nullptr) Compare(manifest.ema_tensors, NamesIn(*ema), wording, lines);
  ProblemList problems;
  for (std::string& line : lines) problems.Add(std::move(line));
  return problems.ToStatus(Concat(kManifestFile, " (automot-manifest makes it anew)"),
                           "tensor problem");
}

std::vector<std::string> ManifestDifferences(const CheckpointManifest& stored,
                                             const CheckpointManifest& found) {
  std::vector<std::string> lines;
  Compare(stored.tensors, found.tensors, {"only in the manifest:", "only stored:", "differs:"},
          lines);
  Compare(stored.ema_tensors, found.ema_tensors,
          {"only in the manifest, of ema:", "only stored, of ema:", "differs, of ema:"}, lines);
  return lines;
}

}  // namespace automot::model
