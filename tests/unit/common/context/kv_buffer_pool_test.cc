#include "common/context/kv_buffer_pool.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/context/kv_buffer.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace automot::context {
namespace {

using testing::HasSubstr;

ContextLayout Layout(int tokens) {
  return {.layers = 2, .tokens = tokens, .kv_heads = 2, .k_head_dim = 64, .v_head_dim = 64};
}

TEST(KvBuffer, TensorsAreDistinctWritableAndAligned) {
  KvBuffer buffer = KvBuffer::Allocate(Layout(10)).value();
  for (int layer = 0; layer < 2; ++layer) {
    for (TensorKind tensor : {TensorKind::kKey, TensorKind::kValue}) {
      const auto span = buffer.Tensor(layer, tensor);
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(span.data()) % kTensorAlignment, 0U);
      std::memset(span.data(), 1 + layer * 2 + static_cast<int>(tensor), span.size());
    }
  }
  const KvBuffer moved = std::move(buffer);
  EXPECT_EQ(moved.Tensor(1, TensorKind::kValue).back(), std::byte{4});
  EXPECT_EQ(moved.Tensor(0, TensorKind::kKey).front(), std::byte{1});
}

TEST(KvBuffer, AdoptRefusesMemoryThatDoesNotFit) {
  alignas(64) static std::byte memory[256];
  const ContextLayout tiny{
      .layers = 1, .tokens = 1, .kv_heads = 1, .k_head_dim = 16, .v_head_dim = 16};
  EXPECT_TRUE(KvBuffer::Adopt(tiny, memory, nullptr).ok());
  EXPECT_FALSE(KvBuffer::Adopt(tiny, std::span(memory).first(127), nullptr).ok());
  EXPECT_FALSE(KvBuffer::Adopt(tiny, std::span(memory).subspan(4), nullptr).ok());
  EXPECT_FALSE(KvBuffer::Adopt(ContextLayout{}, memory, nullptr).ok());
}

TEST(KvBuffer, AdoptedMemoryLivesAsLongAsTheBuffer) {
  auto owner = std::shared_ptr<std::byte[]>(
      new (std::align_val_t{64}) std::byte[4096],
      [](std::byte* p) { ::operator delete[](p, std::align_val_t{64}); });
  std::optional<KvBuffer> buffer = KvBuffer::Adopt(Layout(1), {owner.get(), 4096}, owner).value();
  EXPECT_EQ(owner.use_count(), 2);
  buffer.reset();
  EXPECT_EQ(owner.use_count(), 1);
}

// Large buffers begin on a huge page; every byte of them is theirs, and their neighbours' stay as
// they are.
TEST(KvBufferPool, LargeBuffersAreWholeAndApart) {
  KvBufferPool pool({.byte_budget = std::size_t{64} << 20});
  std::vector<KvBuffer> buffers;
  for (int i = 0; i < 4; ++i) {
    buffers.push_back(pool.Acquire(Layout(5000 + i)).value());
    const auto bytes = buffers.back().bytes();
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(bytes.data()) % (std::size_t{2} << 20), 0U);
    std::memset(const_cast<std::byte*>(bytes.data()), i + 1, bytes.size());
  }
  for (int i = 0; i < 4; ++i) {
    EXPECT_TRUE(std::ranges::all_of(buffers[static_cast<std::size_t>(i)].bytes(), [i](std::byte b) {
      return b == static_cast<std::byte>(i + 1);
    }));
  }
}

TEST(KvBufferPool, SteadyStateMapsNothing) {
  KvBufferPool pool({.byte_budget = std::size_t{16} << 20});
  for (int i = 0; i < 100; ++i) {
    const KvBuffer first = pool.Acquire(Layout(500 + i % 3)).value();
    const KvBuffer second = pool.Acquire(Layout(500)).value();
  }
  EXPECT_EQ(pool.stats().maps, 2U);
  EXPECT_EQ(pool.stats().unmaps, 0U);
  EXPECT_EQ(pool.stats().idle_buffers, 2U);
  EXPECT_EQ(pool.stats().lent_bytes, 0U);
}

TEST(KvBufferPool, RefusesBeyondItsBudgetNamingBytesAndLimit) {
  KvBufferPool pool({.byte_budget = 1'000'000});
  std::vector<KvBuffer> lent;
  absl::Status refusal;
  for (int i = 0; i < 10 && refusal.ok(); ++i) {
    auto buffer = pool.Acquire(Layout(200));  // 409,600 bytes
    if (buffer.ok()) {
      lent.push_back(*std::move(buffer));
    } else {
      refusal = buffer.status();
    }
  }
  EXPECT_EQ(lent.size(), 2U);
  EXPECT_EQ(refusal.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(refusal.message()), HasSubstr("limit 1000000"));
  EXPECT_THAT(std::string(refusal.message()),
              HasSubstr(std::to_string(KvBufferPool::SizeClass(409'600))));
  EXPECT_EQ(pool.stats().refusals, 1U);
  lent.pop_back();
  EXPECT_TRUE(pool.Acquire(Layout(200)).ok());
}

TEST(KvBufferPool, GivesUpIdleBuffersOfAnotherSizeOnlyWhenItMust) {
  KvBufferPool pool({.byte_budget = 1'000'000});
  {
    const KvBuffer small = pool.Acquire(Layout(50)).value();
  }
  {
    const KvBuffer large = pool.Acquire(Layout(300)).value();
  }
  EXPECT_EQ(pool.stats().unmaps, 0U);
  {
    const KvBuffer larger = pool.Acquire(Layout(450)).value();
  }
  EXPECT_GE(pool.stats().unmaps, 1U);
  EXPECT_LE(pool.stats().mapped_bytes, 1'000'000U);
}

TEST(KvBufferPool, RefusalDestroysNoIdleBuffer) {
  KvBufferPool pool({.byte_budget = 1'000'000});
  {
    const KvBuffer idle = pool.Acquire(Layout(200)).value();
  }
  EXPECT_FALSE(pool.Acquire(Layout(5000)).ok());
  EXPECT_EQ(pool.stats().idle_buffers, 1U);
}

TEST(KvBufferPool, BuffersOutliveThePoolAndReturnFromAnyThread) {
  std::optional<KvBuffer> buffer;
  {
    KvBufferPool pool({.byte_budget = std::size_t{1} << 20});
    buffer = pool.Acquire(Layout(10)).value();
  }
  buffer->Tensor(0, TensorKind::kKey)[0] = std::byte{9};
  std::thread([&] { buffer.reset(); }).join();
}

TEST(KvBufferPool, ThreadsShareTheBudget) {
  KvBufferPool pool({.byte_budget = std::size_t{2} << 20, .prefault = false});
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&pool, t] {
      for (int i = 0; i < 300; ++i) {
        auto buffer = pool.Acquire(Layout(50 * (1 + (i + t) % 8)));
        if (buffer.ok()) buffer->Tensor(0, TensorKind::kKey)[0] = std::byte{1};
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(pool.stats().lent_buffers, 0U);
  EXPECT_LE(pool.stats().mapped_bytes, std::size_t{2} << 20);
}

TEST(KvBufferPool, SizeClassesWasteLessThanAnEighth) {
  for (std::size_t bytes = 40'000; bytes < 200'000'000; bytes += bytes / 7 + 1) {
    const std::size_t mapped = KvBufferPool::SizeClass(bytes);
    EXPECT_GE(mapped, bytes);
    EXPECT_LT(mapped - bytes, bytes / 8 + 1);
    EXPECT_EQ(KvBufferPool::SizeClass(mapped), mapped);
  }
}

}  // namespace
}  // namespace automot::context
