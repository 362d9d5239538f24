#include "tests/benchmark/context/plain_roles.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <algorithm>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <vector>

#include "nlohmann/json.hpp"
#include "plain_transfer.grpc.pb.h"
#include "tests/benchmark/comparison/child_process.h"
#include "tests/benchmark/context/bench_snapshot.h"

namespace automot::benchmarks {
namespace {

using nlohmann::json;

constexpr int kMaxMessageBytes = 64 << 20;

class Service final : public benchmark::PlainTransfer::Service {
 public:
  grpc::Status Fetch(grpc::ServerContext*, const benchmark::TransferRequest* request,
                     grpc::ServerWriter<benchmark::Piece>* writer) override {
    Prepare(request->snapshot_bytes());
    for (uint32_t i = 0; i < request->snapshots(); ++i) {
      StampVersion(snapshot_, ++version_);
      StampTime(snapshot_, NowNs());
      for (std::size_t at = 0; at < snapshot_.size(); at += request->piece_bytes()) {
        benchmark::Piece piece;
        piece.set_data(snapshot_.data() + at,
                       std::min<std::size_t>(request->piece_bytes(), snapshot_.size() - at));
        if (!writer->Write(piece)) return grpc::Status::CANCELLED;
      }
    }
    return grpc::Status::OK;
  }

 private:
  void Prepare(std::size_t bytes) {
    if (snapshot_.size() == bytes) return;
    snapshot_.resize(bytes);
    FillWithNoise(snapshot_, 1);
  }

  std::vector<std::byte> snapshot_;  // one call at a time
  uint64_t version_ = 0;
};

class Client {
 public:
  explicit Client(const std::string& address) {
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
    stub_ = benchmark::PlainTransfer::NewStub(
        grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments));
  }

  json Answer(const json& request) {
    if (!request.contains("snapshots")) return json::object();
    benchmark::TransferRequest wanted;
    wanted.set_snapshots(request.at("snapshots"));
    wanted.set_snapshot_bytes(request.at("snapshot_bytes"));
    wanted.set_piece_bytes(request.at("piece_bytes"));
    snapshot_.resize(wanted.snapshot_bytes());
    const int64_t begin_ns = NowNs();
    const std::vector<double> visible_ms = Fetch(wanted);
    return {{"wall_s", 1e-9 * static_cast<double>(NowNs() - begin_ns)},
            {"bytes", static_cast<double>(wanted.snapshot_bytes()) * wanted.snapshots()},
            {"visible_ms", visible_ms}};
  }

 private:
  // Puts each snapshot together in one buffer, as whoever reads tensors needs it.
  std::vector<double> Fetch(const benchmark::TransferRequest& wanted) {
    grpc::ClientContext call;
    const auto reader = stub_->Fetch(&call, wanted);
    std::vector<double> visible_ms;
    std::size_t at = 0;
    for (benchmark::Piece piece; reader->Read(&piece);) {
      if (piece.data().size() > snapshot_.size() - at) throw std::runtime_error("too many bytes");
      std::memcpy(snapshot_.data() + at, piece.data().data(), piece.data().size());
      at += piece.data().size();
      if (at < snapshot_.size()) continue;
      visible_ms.push_back(1e-6 * static_cast<double>(NowNs() - TimeOf(snapshot_)));
      at = 0;
    }
    if (const grpc::Status status = reader->Finish(); !status.ok()) {
      throw std::runtime_error(status.error_message());
    }
    if (visible_ms.size() != wanted.snapshots()) throw std::runtime_error("bytes are missing");
    return visible_ms;
  }

  std::unique_ptr<benchmark::PlainTransfer::Stub> stub_;
  std::vector<std::byte> snapshot_;
};

}  // namespace

int RunPlainServer() {
  Service service;
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&service);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) throw std::runtime_error("cannot listen on a loopback port");
  AnswerParent({{"address", "127.0.0.1:" + std::to_string(port)}},
               [](const json&) { return json::object(); });
  return 0;
}

int RunPlainClient(const std::string& address) {
  Client client(address);
  AnswerParent(json::object(), [&](const json& request) { return client.Answer(request); });
  return 0;
}

}  // namespace automot::benchmarks
