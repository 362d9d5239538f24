// Read path of the snapshot store against the holders it replaces, with and without a writer.
//   build/<preset>/bin/automot-bench-store [--benchmark_filter=...] [--json FILE]
// Compare rows of one run only, as ratios: absolute times depend on the machine and its load.
#include <benchmark/benchmark.h>

#include <atomic>
#include <cstdint>
#include <cstring>
#include <thread>
#include <utility>
#include <vector>

#include "common/context/kv_buffer_pool.h"
#include "common/context/snapshot_assembler.h"
#include "common/context/snapshot_manifest.h"
#include "tests/benchmark/benchmark_main.h"
#include "tests/benchmark/version_holders.h"

namespace automot::context {
namespace {

using benchmarks::AtomicSharedPtrHolder;
using benchmarks::MutexHolder;
using benchmarks::WaitFreeHolder;

constexpr uint64_t kSession = 1;

// Argument: versions published per second beside the readers; 0 means none.
template <typename Holder>
void BM_Latest(benchmark::State& state) {
  static Holder* holder = nullptr;
  static std::thread* writer = nullptr;
  static std::atomic<bool> done{false};
  if (state.thread_index() == 0) {
    holder = new Holder;
    holder->Publish(1);
    done = false;
    if (state.range(0) > 0) {
      const auto period = std::chrono::nanoseconds(1'000'000'000 / state.range(0));
      writer = new std::thread([period] {
        auto next = std::chrono::steady_clock::now();
        for (uint64_t number = 2; !done; ++number) {
          holder->Publish(number);
          std::this_thread::sleep_until(next += period);
        }
      });
    }
  }
  for (auto _ : state) benchmark::DoNotOptimize(holder->Read(state.thread_index()));
  if (state.thread_index() == 0) {
    done = true;
    if (writer != nullptr) writer->join();
    delete std::exchange(writer, nullptr);
    delete std::exchange(holder, nullptr);
  }
}
BENCHMARK(BM_Latest<WaitFreeHolder>)->Arg(0)->Arg(1000)->ThreadRange(1, 2);
BENCHMARK(BM_Latest<MutexHolder>)->Arg(0)->Arg(1000)->ThreadRange(1, 2);
BENCHMARK(BM_Latest<AtomicSharedPtrHolder>)->Arg(0)->Arg(1000)->ThreadRange(1, 2);

void BM_PublishAndCollect(benchmark::State& state) {
  WaitFreeHolder holder;
  uint64_t number = 0;
  for (auto _ : state) holder.Publish(++number);
}
BENCHMARK(BM_PublishAndCollect);

// One copy plus verification of the published compact layout (37.4 MB), beside the bare copy of the
// same.
constexpr ContextLayout kPublished{.kind = ContextLayout::Kind::kCompact,
                                   .element_type = ContextLayout::ElementType::kBFloat16,
                                   .layers = 36,
                                   .tokens = 625,
                                   .kv_heads = 4,
                                   .k_head_dim = 128,
                                   .v_head_dim = 80};

ContextSnapshot Published() {
  ContextSnapshot snapshot;
  snapshot.header.id = {kSession, 1, 1, 1};
  snapshot.header.position_start = 100;
  snapshot.header.layout = kPublished;
  snapshot.kv = KvBuffer::Allocate(kPublished).value();
  return snapshot;
}

void BM_Assemble(benchmark::State& state) {
  const ContextSnapshot original = Published();
  const SnapshotManifest manifest = BuildManifest(original, kDefaultChunkBytes);
  KvBufferPool pool(KvBufferPool::Options{});
  SnapshotAssembler assembler(&pool);
  for (auto _ : state) {
    if (!assembler.Begin(original.header, {.session = kSession, .episode = 1, .epoch = 1}).ok()) {
      state.SkipWithError("header refused");
      return;
    }
    for (const ChunkSpec& chunk : manifest.chunks) {
      const auto tensor = original.kv.Tensor(static_cast<int>(chunk.layer), chunk.tensor);
      (void)assembler.Add(chunk, tensor.subspan(chunk.offset_bytes, chunk.bytes));
    }
    if (!assembler.Finish(manifest.trailer).ok()) {
      state.SkipWithError("snapshot refused");
      return;
    }
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(kPublished.payload_bytes()));
}
BENCHMARK(BM_Assemble)->Unit(benchmark::kMillisecond);

void BM_CopyOnly(benchmark::State& state) {
  const ContextSnapshot original = Published();
  KvBufferPool pool(KvBufferPool::Options{});
  for (auto _ : state) {
    KvBuffer copy = pool.Acquire(kPublished).value();
    for (int layer = 0; layer < kPublished.layers; ++layer) {
      for (TensorKind tensor : {TensorKind::kKey, TensorKind::kValue}) {
        const auto from = original.kv.Tensor(layer, tensor);
        std::memcpy(copy.Tensor(layer, tensor).data(), from.data(), from.size());
      }
    }
    benchmark::DoNotOptimize(copy.bytes().data());
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(kPublished.payload_bytes()));
}
BENCHMARK(BM_CopyOnly)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace automot::context

int main(int argc, char** argv) { return automot::RunBenchmarks({argv, argv + argc}); }
