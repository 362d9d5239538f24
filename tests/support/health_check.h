// grpc.health.v1.Health and grpc.reflection.v1alpha.ServerReflection without their generated code.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <future>
#include <memory>
#include <string>
#include <utility>

namespace automot {

enum class HealthStatus : uint8_t { kUnknownService = 0, kServing = 1, kNotServing = 2 };

// Health/Check: a string field 1 goes out, an enum field 1 comes back. Everything but an answer is
// kUnknownService.
inline HealthStatus CheckHealth(const std::shared_ptr<grpc::Channel>& channel,
                                const std::string& service) {
  std::string request;
  if (!service.empty()) request = std::string("\x0A") + static_cast<char>(service.size()) + service;
  const grpc::Slice slice(request);
  const grpc::ByteBuffer sent(&slice, 1);
  grpc::ByteBuffer received;
  grpc::ClientContext call;
  call.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
  std::promise<grpc::Status> done;
  grpc::GenericStub(channel).UnaryCall(
      &call, "/grpc.health.v1.Health/Check", {}, &sent, &received,
      [&](grpc::Status status) { done.set_value(std::move(status)); });
  if (!done.get_future().get().ok()) return HealthStatus::kUnknownService;
  grpc::Slice bytes;
  EXPECT_TRUE(received.DumpToSingleSlice(&bytes).ok());
  if (bytes.size() != 2) return HealthStatus::kUnknownService;
  return static_cast<HealthStatus>(bytes.begin()[1]);
}

// The answer to ServerReflectionInfo's list_services, as bytes: holds the names of the services.
inline std::string ListServices(const std::shared_ptr<grpc::Channel>& channel) {
  grpc::ClientContext call;
  call.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
  grpc::CompletionQueue queue;
  const auto step = [&queue] {
    void* tag = nullptr;
    bool ok = false;
    return queue.Next(&tag, &ok) && ok;
  };
  const auto stream = grpc::GenericStub(channel).PrepareCall(
      &call, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", &queue);
  const grpc::Slice request(std::string("\x3A\x01*"));  // string field 7
  const grpc::ByteBuffer sent(&request, 1);
  grpc::ByteBuffer received;
  grpc::Status status;
  stream->StartCall(nullptr);
  if (!step()) return "";
  stream->WriteLast(sent, {}, nullptr);
  if (!step()) return "";
  stream->Read(&received, nullptr);
  if (!step()) return "";
  grpc::Slice bytes;
  EXPECT_TRUE(received.DumpToSingleSlice(&bytes).ok());
  stream->Finish(&status, nullptr);
  step();
  return {reinterpret_cast<const char*>(bytes.begin()), bytes.size()};
}

}  // namespace automot
