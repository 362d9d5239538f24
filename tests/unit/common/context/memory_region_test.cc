#include "common/context/memory_region.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <string>

#include "common/context/kv_buffer_pool.h"

namespace automot::context {
namespace {

constexpr std::size_t kBytes = 8192;

std::shared_ptr<MemoryRegion> Region() { return MemoryRegion::Create(kBytes, true).value(); }

UniqueDescriptor Copy(int descriptor) { return UniqueDescriptor(dup(descriptor)); }

// A memory file of `bytes` with exactly these seals.
UniqueDescriptor FileWith(std::size_t bytes, int seals) {
  UniqueDescriptor file(memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  EXPECT_EQ(ftruncate(file.get(), static_cast<off_t>(bytes)), 0);
  EXPECT_EQ(fcntl(file.get(), F_ADD_SEALS, seals), 0);
  return file;
}

TEST(MemoryRegion, ReaderSeesWhatTheProducerWritesAfterSealing) {
  const auto region = Region();
  const auto mapped = MappedRegion::Map(Copy(region->descriptor()), kBytes).value();
  region->bytes()[5000] = std::byte{42};
  EXPECT_EQ(mapped->bytes()[5000], std::byte{42});
  EXPECT_EQ(mapped->bytes().size(), kBytes);
}

TEST(MemoryRegion, NobodyWhoGetsTheDescriptorCanWriteOrResize) {
  const auto region = Region();
  const UniqueDescriptor passed = Copy(region->descriptor());
  const std::string path = "/proc/self/fd/" + std::to_string(passed.get());
  const UniqueDescriptor reopened(open(path.c_str(), O_RDWR | O_CLOEXEC));
  for (const int descriptor : {passed.get(), reopened.get()}) {
    EXPECT_EQ(mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0), MAP_FAILED);
    EXPECT_EQ(pwrite(descriptor, "x", 1, 0), -1);
    EXPECT_EQ(ftruncate(descriptor, 0), -1);
    EXPECT_EQ(ftruncate(descriptor, 2 * kBytes), -1);
    EXPECT_EQ(fallocate(descriptor, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, kBytes), -1);
    EXPECT_EQ(fcntl(descriptor, F_ADD_SEALS, F_SEAL_WRITE), -1) << "seals are sealed too";
  }
  void* const readable = mmap(nullptr, kBytes, PROT_READ, MAP_SHARED, passed.get(), 0);
  ASSERT_NE(readable, MAP_FAILED);
  EXPECT_EQ(mprotect(readable, kBytes, PROT_READ | PROT_WRITE), -1);
  munmap(readable, kBytes);
}

TEST(MemoryRegion, BytesOutliveTheProducersMapping) {
  auto region = Region();
  region->bytes()[0] = std::byte{7};
  const auto mapped = MappedRegion::Map(Copy(region->descriptor()), kBytes).value();
  region.reset();
  EXPECT_EQ(mapped->bytes()[0], std::byte{7});
}

TEST(MappedRegion, ReadingItTakesNoPageFault) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "the sanitizer's own memory is faulted in as this one is read";
#endif
  constexpr std::size_t kLarge = std::size_t{8} << 20;
  const auto region = MemoryRegion::Create(kLarge, true).value();
  const auto mapped = MappedRegion::Map(Copy(region->descriptor()), kLarge).value();
  const std::byte* const bytes = mapped->bytes().data();
  rusage before = {}, after = {};
  std::byte seen{0};
  getrusage(RUSAGE_THREAD, &before);
  for (std::size_t at = 0; at < kLarge; at += 4096) {
    seen |= *static_cast<const volatile std::byte*>(bytes + at);
  }
  getrusage(RUSAGE_THREAD, &after);
  EXPECT_EQ(after.ru_minflt - before.ru_minflt + after.ru_majflt - before.ru_majflt, 0);
  EXPECT_EQ(seen, std::byte{0});
}

TEST(MappedRegion, RefusesAFileThatCouldChangeUnderIt) {
  constexpr int kGood = F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_FUTURE_WRITE;
  EXPECT_TRUE(MappedRegion::Map(FileWith(kBytes, kGood), kBytes).ok());
  for (const int seals : {0, F_SEAL_GROW | F_SEAL_SHRINK, F_SEAL_GROW | F_SEAL_FUTURE_WRITE,
                          F_SEAL_SHRINK | F_SEAL_FUTURE_WRITE}) {
    const auto mapped = MappedRegion::Map(FileWith(kBytes, seals), kBytes);
    EXPECT_TRUE(absl::IsFailedPrecondition(mapped.status())) << seals;
  }
}

TEST(MappedRegion, RefusesWhatIsNoMemoryFile) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  UniqueDescriptor write_end(ends[1]);
  EXPECT_TRUE(
      absl::IsFailedPrecondition(MappedRegion::Map(UniqueDescriptor(ends[0]), kBytes).status()));
  UniqueDescriptor directory(open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  EXPECT_FALSE(MappedRegion::Map(std::move(directory), kBytes).ok());
  UniqueDescriptor device(open("/dev/zero", O_RDWR | O_CLOEXEC));
  EXPECT_FALSE(MappedRegion::Map(std::move(device), kBytes).ok());
  EXPECT_FALSE(MappedRegion::Map(UniqueDescriptor(), kBytes).ok());
}

TEST(MappedRegion, RefusesAnotherSizeThanAnnounced) {
  const auto region = Region();
  for (const uint64_t announced : {kBytes / 2, 2 * kBytes}) {
    EXPECT_TRUE(absl::IsFailedPrecondition(
        MappedRegion::Map(Copy(region->descriptor()), announced).status()));
  }
  for (const uint64_t announced :
       {uint64_t{0}, uint64_t{kBytes - 1}, uint64_t{1} << 40, ~uint64_t{0}}) {
    EXPECT_TRUE(
        absl::IsInvalidArgument(MappedRegion::Map(Copy(region->descriptor()), announced).status()))
        << announced;
  }
}

TEST(KvBufferPoolRegions, EachUseOfARegionHasItsOwnGeneration) {
  KvBufferPool pool({.byte_budget = 1 << 20, .backing = KvBufferPool::Backing::kSharedRegion});
  const ContextLayout layout{
      .layers = 1, .tokens = 4, .kv_heads = 1, .k_head_dim = 16, .v_head_dim = 16};
  uint64_t region = 0;
  for (uint64_t generation = 1; generation <= 3; ++generation) {
    KvBuffer buffer = pool.Acquire(layout).value();
    ASSERT_NE(buffer.place(), nullptr);
    EXPECT_EQ(buffer.place()->generation, generation);
    if (generation > 1) {
      EXPECT_EQ(buffer.place()->region->number(), region);
    }
    region = buffer.place()->region->number();
    buffer.Tensor(0, TensorKind::kKey)[0] = std::byte{1};
    EXPECT_EQ(buffer.place()->region->bytes()[0], std::byte{1});
  }
  EXPECT_EQ(pool.stats().maps, 1U);
}

TEST(KvBufferPoolRegions, ARetiredRegionIsNeverLentAgain) {
  KvBufferPool pool({.byte_budget = 1 << 20, .backing = KvBufferPool::Backing::kSharedRegion});
  const ContextLayout layout{
      .layers = 1, .tokens = 4, .kv_heads = 1, .k_head_dim = 16, .v_head_dim = 16};
  std::optional<KvBuffer> buffer = pool.Acquire(layout).value();
  buffer->Tensor(0, TensorKind::kKey)[0] = std::byte{9};
  const auto reader = MappedRegion::Map(Copy(buffer->place()->region->descriptor()),
                                        buffer->place()->region->bytes().size())
                          .value();
  const uint64_t number = buffer->place()->region->number();
  buffer->place()->region->Retire();
  buffer.reset();
  EXPECT_EQ(pool.stats().mapped_bytes, 0U);
  EXPECT_EQ(pool.stats().idle_buffers, 0U);
  KvBuffer next = pool.Acquire(layout).value();
  EXPECT_NE(next.place()->region->number(), number);
  next.Tensor(0, TensorKind::kKey)[0] = std::byte{1};
  EXPECT_EQ(reader->bytes()[0], std::byte{9});
}

}  // namespace
}  // namespace automot::context
