#include "services/planning/lane/subscribe_message.h"

#include <gtest/gtest.h>

#include <random>

namespace automot::planning {
namespace {

// The bytes cut into slices at `cuts`, as a transport may deliver them.
grpc::ByteBuffer Cut(const std::string& bytes, std::vector<std::size_t> cuts) {
  std::vector<grpc::Slice> slices;
  std::size_t from = 0;
  cuts.push_back(bytes.size());
  for (std::size_t to : cuts) {
    slices.emplace_back(bytes.data() + from, to - from);
    from = to;
  }
  return {slices.data(), slices.size()};
}

v1::SubscribeContextsResponse Chunk(std::size_t bytes) {
  v1::SubscribeContextsResponse message;
  message.mutable_chunk()->set_layer(35);
  message.mutable_chunk()->set_values(true);
  message.mutable_chunk()->set_offset_bytes(1 << 20);
  message.mutable_chunk()->set_hash(0xFEDCBA9876543210);
  for (std::size_t i = 0; i < bytes; ++i)
    message.mutable_chunk()->mutable_data()->push_back(static_cast<char>(i * 7));
  return message;
}

std::string Join(const ChunkMessage& message) {
  std::string joined;
  for (const auto piece : message.pieces)
    joined.append(reinterpret_cast<const char*>(piece.data()), piece.size());
  return joined;
}

TEST(SubscribeMessage, AReferenceHasAVersionALengthAndNoBytes) {
  const auto parse = [](const v1::SubscribeContextsResponse& message) {
    const std::string bytes = message.SerializeAsString();
    grpc::ByteBuffer buffer = Cut(bytes, {});
    return ParseSubscribeMessage(buffer);
  };
  v1::SubscribeContextsResponse sent = Chunk(0);
  sent.mutable_chunk()->mutable_reuse()->set_version(7);
  sent.mutable_chunk()->mutable_reuse()->set_length_bytes(9000);
  const auto message = parse(sent);
  ASSERT_TRUE(message.ok()) << message.status();
  const auto* chunk = std::get_if<ChunkMessage>(&*message);
  ASSERT_NE(chunk, nullptr);
  EXPECT_EQ(chunk->reuse_version, 7U);
  EXPECT_EQ(chunk->chunk.bytes, 9000U);
  EXPECT_TRUE(chunk->pieces.empty());
  sent.mutable_chunk()->set_data("bytes too");
  EXPECT_FALSE(parse(sent).ok());
  sent.mutable_chunk()->clear_data();
  sent.mutable_chunk()->mutable_reuse()->set_length_bytes((uint64_t{16} << 20) + 1);
  EXPECT_FALSE(parse(sent).ok()) << "beyond the contract";
  sent.mutable_chunk()->mutable_reuse()->set_length_bytes(9000);
  sent.mutable_chunk()->mutable_reuse()->set_version(0);
  EXPECT_FALSE(parse(sent).ok()) << "no version";
}

TEST(SubscribeMessage, ChunkIsTheSameHoweverTheTransportCutsIt) {
  const v1::SubscribeContextsResponse sent = Chunk(5000);
  const std::string bytes = sent.SerializeAsString();
  std::mt19937 random(5);
  for (int round = 0; round < 200; ++round) {
    std::vector<std::size_t> cuts(random() % 6);
    for (std::size_t& cut : cuts) cut = random() % bytes.size();
    std::sort(cuts.begin(), cuts.end());
    grpc::ByteBuffer buffer = Cut(bytes, cuts);
    const auto message = ParseSubscribeMessage(buffer);
    ASSERT_TRUE(message.ok()) << message.status();
    const auto* chunk = std::get_if<ChunkMessage>(&*message);
    ASSERT_NE(chunk, nullptr);
    EXPECT_EQ(chunk->chunk, (context::ChunkSpec{.layer = 35,
                                                .tensor = context::TensorKind::kValue,
                                                .offset_bytes = 1 << 20,
                                                .bytes = 5000,
                                                .hash = 0xFEDCBA9876543210}));
    ASSERT_EQ(Join(*chunk), sent.chunk().data());
  }
}

TEST(SubscribeMessage, OtherEventsAreOrdinaryMessages) {
  v1::SubscribeContextsResponse sent;
  sent.mutable_refresh_failed()->set_message("why");
  grpc::ByteBuffer buffer = Cut(sent.SerializeAsString(), {3});
  const auto message = ParseSubscribeMessage(buffer);
  ASSERT_TRUE(message.ok());
  EXPECT_EQ(std::get<v1::SubscribeContextsResponse>(*message).refresh_failed().message(), "why");
}

TEST(SubscribeMessage, EmptyMessageIsAnEventNotSet) {
  grpc::ByteBuffer buffer = Cut("", {});
  const auto message = ParseSubscribeMessage(buffer);
  ASSERT_TRUE(message.ok());
  EXPECT_EQ(std::get<v1::SubscribeContextsResponse>(*message).event_case(),
            v1::SubscribeContextsResponse::EVENT_NOT_SET);
}

TEST(SubscribeMessage, PayloadAboveTheContractsLimitIsRefused) {
  const std::string bytes = Chunk((4 << 20) + 1).SerializeAsString();
  grpc::ByteBuffer buffer = Cut(bytes, {});
  EXPECT_TRUE(absl::IsInvalidArgument(ParseSubscribeMessage(buffer).status()));
}

TEST(SubscribeMessage, DamagedBytesNeverDoMoreThanFail) {
  const std::string good = Chunk(300).SerializeAsString();
  std::mt19937 random(11);
  for (int round = 0; round < 3000; ++round) {
    std::string bytes = good.substr(0, random() % 8 == 0 ? random() % good.size() : good.size());
    for (std::size_t i = 0; i < 1 + random() % 4 && !bytes.empty(); ++i) {
      bytes[random() % std::min<std::size_t>(bytes.size(), 40)] = static_cast<char>(random());
    }
    grpc::ByteBuffer buffer = Cut(bytes, {bytes.size() / 2});
    const auto message = ParseSubscribeMessage(buffer);
    if (!message.ok()) continue;
    if (const auto* chunk = std::get_if<ChunkMessage>(&*message)) {
      EXPECT_LE(Join(*chunk).size(), bytes.size());
    }
  }
}

}  // namespace
}  // namespace automot::planning
