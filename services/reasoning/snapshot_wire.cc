#include "services/reasoning/snapshot_wire.h"

#include <google/protobuf/wire_format_lite.h>
#include <grpcpp/impl/codegen/proto_utils.h>

#include <array>
#include <utility>

#include "common/conversion/snapshot_header.h"
#include "common/conversion/snapshot_trailer.h"

namespace automot::reasoning {
namespace {

using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedOutputStream;

// Hands the snapshot reference that keeps a borrowed slice alive back.
void Release(void* reference) { delete static_cast<context::SnapshotPtr*>(reference); }

// Everything of SubscribeContextsResponse{chunk} before the bytes of `data`, which come last on the
// wire as they may.
grpc::Slice ChunkPrefix(const context::ChunkSpec& chunk) {
  std::array<uint8_t, 64> fields;
  uint8_t* at = fields.data();
  at = WireFormatLite::WriteUInt32ToArray(v1::SnapshotChunk::kLayerFieldNumber, chunk.layer, at);
  at = WireFormatLite::WriteBoolToArray(v1::SnapshotChunk::kValuesFieldNumber,
                                        chunk.tensor == context::TensorKind::kValue, at);
  at = WireFormatLite::WriteUInt64ToArray(v1::SnapshotChunk::kOffsetBytesFieldNumber,
                                          chunk.offset_bytes, at);
  at = WireFormatLite::WriteFixed64ToArray(v1::SnapshotChunk::kHashFieldNumber, chunk.hash, at);
  at = WireFormatLite::WriteTagToArray(v1::SnapshotChunk::kDataFieldNumber,
                                       WireFormatLite::WIRETYPE_LENGTH_DELIMITED, at);
  at = CodedOutputStream::WriteVarint64ToArray(chunk.bytes, at);
  const auto fields_size = static_cast<std::size_t>(at - fields.data());

  std::array<uint8_t, 96> prefix;
  at = WireFormatLite::WriteTagToArray(v1::SubscribeContextsResponse::kChunkFieldNumber,
                                       WireFormatLite::WIRETYPE_LENGTH_DELIMITED, prefix.data());
  at = CodedOutputStream::WriteVarint64ToArray(fields_size + chunk.bytes, at);
  at = CodedOutputStream::WriteRawToArray(fields.data(), static_cast<int>(fields_size), at);
  return {prefix.data(), static_cast<std::size_t>(at - prefix.data())};
}

grpc::ByteBuffer SerializeChunk(const OutboxChunk& item) {
  const auto bytes = std::as_const(item.snapshot->kv)
                         .Tensor(static_cast<int>(item.chunk.layer), item.chunk.tensor)
                         .subspan(item.chunk.offset_bytes, item.chunk.bytes);
  // gRPC's slices are not const; it never writes to the ones it sends.
  auto* data = const_cast<std::byte*>(bytes.data());
  const std::array<grpc::Slice, 2> slices = {
      ChunkPrefix(item.chunk),
      grpc::Slice(data, bytes.size(), &Release, new context::SnapshotPtr(item.snapshot))};
  return {slices.data(), slices.size()};
}

void PlaceToProto(const context::KvBuffer& kv, v1::SharedPlace* proto) {
  const context::RegionPlace& place = *kv.place();
  proto->set_region(place.region->number());
  proto->set_generation(place.generation);
  proto->set_offset_bytes(place.offset_bytes);
  proto->set_length_bytes(kv.layout().total_bytes());
}

// A chunk of which the consumer has the bytes.
grpc::ByteBuffer SerializeReuse(const OutboxChunk& item) {
  v1::SubscribeContextsResponse message;
  v1::SnapshotChunk* const chunk = message.mutable_chunk();
  chunk->set_layer(item.chunk.layer);
  chunk->set_values(item.chunk.tensor == context::TensorKind::kValue);
  chunk->set_offset_bytes(item.chunk.offset_bytes);
  chunk->set_hash(item.chunk.hash);
  chunk->mutable_reuse()->set_version(item.reuse_version);
  chunk->mutable_reuse()->set_length_bytes(item.chunk.bytes);
  return Serialize(message);
}

struct Serializer {
  const std::string& session_name;

  grpc::ByteBuffer operator()(const OutboxHeader& item) const {
    v1::SubscribeContextsResponse message;
    conversion::SnapshotHeaderToProto(item.snapshot->header, session_name,
                                      message.mutable_header());
    if (item.lent)
      PlaceToProto(item.snapshot->kv, message.mutable_header()->mutable_shared_place());
    return Serialize(message);
  }
  grpc::ByteBuffer operator()(const OutboxChunk& item) const {
    return item.reuse_version > 0 ? SerializeReuse(item) : SerializeChunk(item);
  }
  grpc::ByteBuffer operator()(const OutboxSharedLayers& item) const {
    v1::SubscribeContextsResponse message;
    for (const context::ChunkSpec& chunk : item.chunks) {
      v1::SharedChunk* const shared = message.mutable_shared_layers()->add_chunks();
      shared->set_layer(chunk.layer);
      shared->set_values(chunk.tensor == context::TensorKind::kValue);
      shared->set_offset_bytes(chunk.offset_bytes);
      shared->set_length_bytes(chunk.bytes);
      shared->set_hash(chunk.hash);
    }
    return Serialize(message);
  }
  grpc::ByteBuffer operator()(const OutboxTrailer& item) const {
    v1::SubscribeContextsResponse message;
    conversion::SnapshotTrailerToProto(item.trailer, item.snapshot->header.id, session_name,
                                       item.chunk_count, message.mutable_trailer());
    return Serialize(message);
  }
  grpc::ByteBuffer operator()(const OutboxFailure& item) const {
    v1::SubscribeContextsResponse message;
    message.mutable_refresh_failed()->set_capture_time_us(item.capture_time_us);
    message.mutable_refresh_failed()->set_code(static_cast<int32_t>(item.why.code()));
    message.mutable_refresh_failed()->set_message(std::string(item.why.message()));
    return Serialize(message);
  }
};

}  // namespace

grpc::ByteBuffer Serialize(const v1::SubscribeContextsResponse& message) {
  grpc::ByteBuffer buffer;
  bool own_buffer = false;
  // Fails only for a message above 2 GiB, and these have some hundred bytes.
  grpc::SerializationTraits<v1::SubscribeContextsResponse>::Serialize(message, &buffer,
                                                                      &own_buffer);
  return buffer;
}

grpc::ByteBuffer Serialize(const OutboxItem& item, const std::string& session_name) {
  return std::visit(Serializer{session_name}, item);
}

}  // namespace automot::reasoning
