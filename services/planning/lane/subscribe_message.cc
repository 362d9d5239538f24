#include "services/planning/lane/subscribe_message.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>
#include <grpcpp/support/proto_buffer_reader.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace automot::planning {
namespace {

using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;

constexpr uint64_t kMaxPayloadBytes = uint64_t{4} << 20;  // context_snapshot.proto

constexpr uint32_t Tag(int field, WireFormatLite::WireType type) {
  return static_cast<uint32_t>(field) << 3U | static_cast<uint32_t>(type);
}
constexpr uint32_t kChunkTag = Tag(v1::SubscribeContextsResponse::kChunkFieldNumber,
                                   WireFormatLite::WIRETYPE_LENGTH_DELIMITED);
constexpr uint32_t kLayerTag =
    Tag(v1::SnapshotChunk::kLayerFieldNumber, WireFormatLite::WIRETYPE_VARINT);
constexpr uint32_t kValuesTag =
    Tag(v1::SnapshotChunk::kValuesFieldNumber, WireFormatLite::WIRETYPE_VARINT);
constexpr uint32_t kOffsetTag =
    Tag(v1::SnapshotChunk::kOffsetBytesFieldNumber, WireFormatLite::WIRETYPE_VARINT);
constexpr uint32_t kHashTag =
    Tag(v1::SnapshotChunk::kHashFieldNumber, WireFormatLite::WIRETYPE_FIXED64);
constexpr uint32_t kDataTag =
    Tag(v1::SnapshotChunk::kDataFieldNumber, WireFormatLite::WIRETYPE_LENGTH_DELIMITED);

constexpr uint32_t kReuseTag =
    Tag(v1::SnapshotChunk::kReuseFieldNumber, WireFormatLite::WIRETYPE_LENGTH_DELIMITED);
constexpr uint32_t kReuseVersionTag =
    Tag(v1::ChunkReuse::kVersionFieldNumber, WireFormatLite::WIRETYPE_VARINT);
constexpr uint32_t kReuseLengthTag =
    Tag(v1::ChunkReuse::kLengthBytesFieldNumber, WireFormatLite::WIRETYPE_VARINT);

bool ReadPayload(CodedInputStream& in, ChunkMessage* message) {
  uint32_t left = 0;
  if (!in.ReadVarint32(&left) || left > kMaxPayloadBytes) return false;
  message->chunk.bytes = left;
  message->pieces.clear();
  while (left > 0) {
    const void* data = nullptr;
    int size = 0;
    if (!in.GetDirectBufferPointer(&data, &size)) return false;
    const int taken = static_cast<int>(std::min<uint32_t>(left, static_cast<uint32_t>(size)));
    message->pieces.emplace_back(static_cast<const std::byte*>(data),
                                 static_cast<std::size_t>(taken));
    if (!in.Skip(taken)) return false;
    left -= static_cast<uint32_t>(taken);
  }
  return true;
}

constexpr uint64_t kMaxReuseBytes = uint64_t{16} << 20;  // context_snapshot.proto

// A reference to version 0 is none at all.
bool ReadReuse(CodedInputStream& in, ChunkMessage* message) {
  int length = 0;
  if (!in.ReadVarintSizeAsInt(&length)) return false;
  const CodedInputStream::Limit limit = in.PushLimit(length);
  while (const uint32_t tag = in.ReadTag()) {
    bool read = false;
    if (tag == kReuseVersionTag) {
      read = in.ReadVarint64(&message->reuse_version);
    } else if (tag == kReuseLengthTag) {
      read = in.ReadVarint64(&message->chunk.bytes) && message->chunk.bytes <= kMaxReuseBytes;
    } else {
      read = WireFormatLite::SkipField(&in, tag);
    }
    if (!read) return false;
  }
  if (!in.ConsumedEntireMessage() || in.BytesUntilLimit() != 0) return false;
  in.PopLimit(limit);
  return message->reuse_version != 0;
}

bool ReadField(CodedInputStream& in, uint32_t tag, ChunkMessage* message) {
  uint64_t number = 0;
  switch (tag) {
    case kLayerTag:
      return in.ReadVarint32(&message->chunk.layer);
    case kValuesTag:
      if (!in.ReadVarint64(&number)) return false;
      message->chunk.tensor = number != 0 ? context::TensorKind::kValue : context::TensorKind::kKey;
      return true;
    case kOffsetTag:
      return in.ReadVarint64(&message->chunk.offset_bytes);
    case kHashTag:
      return in.ReadLittleEndian64(&message->chunk.hash);
    case kDataTag:
      return ReadPayload(in, message);
    case kReuseTag:
      return ReadReuse(in, message);
    default:
      return WireFormatLite::SkipField(&in, tag);
  }
}

// SubscribeContextsResponse{chunk} alone, which is what the bulk of a stream is.
bool ReadChunk(CodedInputStream& in, ChunkMessage* message) {
  int length = 0;
  if (!in.ReadVarintSizeAsInt(&length)) return false;
  const CodedInputStream::Limit limit = in.PushLimit(length);
  while (const uint32_t tag = in.ReadTag()) {
    if (!ReadField(in, tag, message)) return false;
  }
  if (!in.ConsumedEntireMessage() || in.BytesUntilLimit() != 0) return false;
  in.PopLimit(limit);
  return true;
}

absl::Status Malformed() {
  return absl::InvalidArgumentError(absl::StrCat(
      "not a SubscribeContextsResponse with a payload of at most ", kMaxPayloadBytes, " bytes"));
}

}  // namespace

absl::StatusOr<SubscribeMessage> ParseSubscribeMessage(grpc::ByteBuffer& buffer) {
  {
    grpc::ProtoBufferReader bytes(&buffer);
    if (!bytes.status().ok()) return Malformed();
    CodedInputStream in(&bytes);
    if (in.ReadTag() == kChunkTag) {
      ChunkMessage message;
      if (!ReadChunk(in, &message) || in.ReadTag() != 0) return Malformed();
      // Bytes and a reference to bytes exclude each other.
      if (message.reuse_version != 0 && !message.pieces.empty()) return Malformed();
      return SubscribeMessage(std::move(message));
    }
  }
  grpc::ProtoBufferReader bytes(&buffer);
  v1::SubscribeContextsResponse message;
  if (!message.ParseFromZeroCopyStream(&bytes)) return Malformed();
  return SubscribeMessage(std::move(message));
}

}  // namespace automot::planning
