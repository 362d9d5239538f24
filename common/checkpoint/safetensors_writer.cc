#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "common/checkpoint/content_hash.h"
#include "common/checkpoint/safetensors.h"
#include "common/checkpoint/safetensors_header.h"
#include "common/checkpoint/text.h"
#include "common/status/status_macros.h"
#include "nlohmann/json.hpp"

namespace automot::model {
namespace {

absl::Status WriteAll(int fd, const void* data, size_t size) {
  const char* cursor = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t written = write(fd, cursor, size);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return absl::ErrnoToStatus(errno, "write failed");
    cursor += written;
    size -= static_cast<size_t>(written);
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status SafetensorsWriter::AddEntry(Entry entry) {
  const std::string& name = entry.name;
  if (name.empty() || name.size() > kMaxNameBytes || name == "__metadata__") {
    return absl::InvalidArgumentError(
        Concat("tensor name \"", name.substr(0, 80), "\" is not allowed"));
  }
  if (entry.shape.size() > kMaxRank) {
    return absl::InvalidArgumentError(Concat("tensor \"", name, "\": rank ", entry.shape.size(),
                                             " exceeds the limit of ", kMaxRank));
  }
  AUTOMOT_ASSIGN_OR_RETURN(entry.size, TensorBytes(entry.dtype, entry.shape));
  if (!entry.make_fill && entry.size != entry.bytes.size()) {
    return absl::InvalidArgumentError(Concat("tensor \"", name, "\": ", entry.bytes.size(),
                                             " bytes given, ", DTypeName(entry.dtype), " ",
                                             ShapeText(entry.shape), " needs ", entry.size));
  }
  if (tensors_.count(name) != 0) {
    return absl::InvalidArgumentError(Concat("tensor \"", name, "\" is added twice"));
  }
  std::string key = name;
  tensors_.emplace(std::move(key), std::move(entry));
  return absl::OkStatus();
}

absl::Status SafetensorsWriter::Add(std::string name, DType dtype, std::vector<int64_t> shape,
                                    absl::Span<const std::byte> bytes) {
  return AddEntry({std::move(name), dtype, std::move(shape), 0, bytes, nullptr});
}

absl::Status SafetensorsWriter::AddDeferred(std::string name, DType dtype,
                                            std::vector<int64_t> shape, MakeFill make_fill) {
  return AddEntry({std::move(name), dtype, std::move(shape), 0, {}, std::move(make_fill)});
}

std::string SafetensorsWriter::Header(const std::vector<const Entry*>& order) const {
  nlohmann::json header = nlohmann::json::object();
  if (!metadata_.empty()) header["__metadata__"] = metadata_;
  uint64_t position = 0;
  for (const Entry* tensor : order) {
    const uint64_t end = position + tensor->size;
    header[tensor->name] = {{"dtype", std::string(DTypeName(tensor->dtype))},
                            {"shape", tensor->shape},
                            {"data_offsets", {position, end}}};
    position = end;
  }
  std::string text = header.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  text.resize((text.size() + 7) / 8 * 8, ' ');
  return text;
}

absl::Status SafetensorsWriter::WriteContent(int fd, const std::vector<const Entry*>& order,
                                             TensorHashes* hashes) const {
  const std::string header = Header(order);
  const uint64_t length = header.size();
  AUTOMOT_RETURN_IF_ERROR(WriteAll(fd, &length, sizeof(length)));
  AUTOMOT_RETURN_IF_ERROR(WriteAll(fd, header.data(), header.size()));
  std::vector<std::byte> buffer;
  for (const Entry* tensor : order) {
    const Fill fill = tensor->make_fill ? tensor->make_fill() : nullptr;
    ContentHash hash;
    for (uint64_t at = 0; at < tensor->size; at += kPieceBytes) {
      absl::Span<const std::byte> piece;
      if (fill) {
        buffer.assign(std::min<uint64_t>(kPieceBytes, tensor->size - at), std::byte{0});
        fill(absl::MakeSpan(buffer));
        piece = buffer;
      } else {
        piece = tensor->bytes.subspan(at, kPieceBytes);
      }
      if (hashes != nullptr) hash.Update(piece);
      AUTOMOT_RETURN_IF_ERROR(WriteAll(fd, piece.data(), piece.size()));
    }
    if (hashes != nullptr) hashes->insert_or_assign(tensor->name, hash.Hex());
  }
  if (fsync(fd) != 0) return absl::ErrnoToStatus(errno, "fsync failed");
  return absl::OkStatus();
}

absl::Status SafetensorsWriter::Write(const std::string& path, TensorHashes* hashes) const {
  std::vector<const Entry*> order;
  for (const auto& [name, tensor] : tensors_) order.push_back(&tensor);
  std::stable_sort(order.begin(), order.end(), [](const Entry* a, const Entry* b) {
    return DTypeSize(a->dtype) > DTypeSize(b->dtype);
  });
  const std::string temporary = Concat(path, ".tmp.", getpid());
  const int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return absl::ErrnoToStatus(errno, Concat(temporary, ": cannot create"));
  absl::Status status = WriteContent(fd, order, hashes);
  if (close(fd) != 0 && status.ok()) status = absl::ErrnoToStatus(errno, "close failed");
  if (status.ok() && rename(temporary.c_str(), path.c_str()) != 0) {
    status = absl::ErrnoToStatus(errno, "rename failed");
  }
  if (!status.ok()) {
    unlink(temporary.c_str());
    return absl::Status(status.code(), Concat(path, ": ", status.message()));
  }
  return absl::OkStatus();
}

}  // namespace automot::model
