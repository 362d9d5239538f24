// A producer with a pool of regions and its socket, in this process.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <utility>

#include "common/context/kv_buffer_pool.h"
#include "common/logging/log.h"
#include "common/shared_memory/region_client.h"
#include "common/shared_memory/region_server.h"
#include "tests/unit/common/shared_memory/socket_folder.h"

namespace automot::shared_memory {

// Spins until it holds; the test's time limit ends a wait in vain.
inline void Until(const std::function<bool()>& condition) {
  while (!condition()) std::this_thread::yield();
}

inline constexpr context::ContextLayout kLayout{
    .layers = 2, .tokens = 16, .kv_heads = 2, .k_head_dim = 32, .v_head_dim = 32};

class LendingTest : public ::testing::Test {
 protected:
  LendingTest() {
    logging::SetSink([](std::string_view) {});
  }
  ~LendingTest() override {
    server_.reset();
    logging::SetSink(nullptr);
  }

  void StartServer(LoanLimits limits = {}) {
    RegionServerOptions options;
    options.path = folder_.Path();
    options.limits = limits;
    auto server = RegionServer::Start(options);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  std::unique_ptr<RegionClient> Connect() {
    auto client = RegionClient::Connect({.path = folder_.Path()});
    EXPECT_TRUE(client.ok()) << client.status();
    return client.ok() ? *std::move(client) : nullptr;
  }
  std::shared_ptr<RegionLoans> Open(RegionClient& client, std::function<void()> on_room = nullptr) {
    auto loans = server_->Open(client.token(), client.MintSubscription()).value();
    loans->NotifyOnRoom(std::move(on_room));
    return loans;
  }
  // A snapshot whose every byte is `value`.
  context::SnapshotPtr Snapshot(uint8_t value) {
    auto snapshot = std::make_shared<context::ContextSnapshot>();
    snapshot->header.layout = kLayout;
    snapshot->kv = pool_.Acquire(kLayout).value();
    for (int layer = 0; layer < kLayout.layers; ++layer) {
      for (const auto tensor : {context::TensorKind::kKey, context::TensorKind::kValue}) {
        for (std::byte& byte : snapshot->kv.Tensor(layer, tensor)) byte = std::byte{value};
      }
    }
    return snapshot;
  }
  static RegionUse UseOf(const context::ContextSnapshot& snapshot) {
    const context::RegionPlace& place = *snapshot.kv.place();
    return {.region = place.region->number(),
            .generation = place.generation,
            .offset_bytes = place.offset_bytes,
            .length_bytes = snapshot.kv.layout().total_bytes()};
  }

  const SocketFolder folder_;
  context::KvBufferPool pool_{{.byte_budget = std::size_t{32} << 20,
                               .prefault = false,
                               .backing = context::KvBufferPool::Backing::kSharedRegion}};
  std::unique_ptr<RegionServer> server_;
};

}  // namespace automot::shared_memory
