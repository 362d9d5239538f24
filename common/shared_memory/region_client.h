// The consumer's end of the shared-memory lane: one connection to a producer's socket.
//
// Maps each region once, read-only, every page present, and keeps the mapping. A borrowed buffer
// holds its use of the region until it dies, on whatever thread, and then tells the producer; that
// never blocks. Nothing received is trusted: descriptors are checked for type, seals and size,
// places for bounds, alignment and order.
//
// Threads: Borrow and Close from one thread at a time, everything else from any. A thread of the
// client's own notices the end of the connection and says what could not be said at once.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/context/kv_buffer.h"
#include "common/shared_memory/region_message.h"

namespace automot::shared_memory {

// Why a place was refused; a metrics label.
enum class PlaceRefusal : uint8_t {
  kNone = 0,
  kUnknownRegion,    // never introduced on this connection
  kBadRegion,        // not sealed, another size, number in use
  kStaleGeneration,  // not above the last one seen of the region
  kOutOfBounds,      // outside the region, misaligned, or not the layout's length
};
const char* ToString(PlaceRefusal refusal);

// A use of a region, as the producer describes it.
struct RegionUse {
  uint64_t region = 0;
  uint64_t generation = 0;
  uint64_t offset_bytes = 0;
  uint64_t length_bytes = 0;
};

class RegionClient {
 public:
  struct Options {
    std::string path;
    uint64_t producer = 0;  // who must answer; 0: anybody
    absl::Duration timeout = absl::Seconds(2);
  };

  // Connects and proves itself; blocks up to the timeout. UNAVAILABLE: nobody listens.
  // PERMISSION_DENIED: refused. FAILED_PRECONDITION: another producer, or regions that cannot be
  // trusted. DEADLINE_EXCEEDED: no answer.
  static absl::StatusOr<std::unique_ptr<RegionClient>> Connect(const Options& options);
  // Ends the connection. Borrowed buffers stay readable; the producer never writes them again.
  ~RegionClient();

  const std::string& token() const { return token_; }

  // `on_end` runs once, on the client's thread, when the connection is over; not from the
  // destructor. To be called once, before the client is shared.
  void WatchEnd(std::function<void()> on_end);

  // A number for a subscription that this connection has not used yet.
  uint64_t MintSubscription() { return next_subscription_.fetch_add(1, std::memory_order_relaxed); }

  // The bytes of `use` as a read-only buffer: write to none of its spans. `subscription` is what
  // the uses are counted under. DATA_LOSS with `refusal` set, or INVALID_ARGUMENT for the layout:
  // the use is given back. UNAVAILABLE, or DATA_LOSS without `refusal`: the connection is over.
  absl::StatusOr<context::KvBuffer> Borrow(uint64_t subscription, const RegionUse& use,
                                           const context::ContextLayout& layout,
                                           PlaceRefusal* refusal);
  // Gives a use back that was never borrowed.
  void Return(const RegionUse& use);
  // After the last Borrow of a subscription: `received` uses came, what was lent after them is
  // lost.
  void EndSubscription(uint64_t subscription, uint64_t received);

  // Whether one more buffer of `bytes` may be kept for as long as its snapshot lives. False near
  // the producer's limits: then copy it, and let it go at once.
  bool RoomToKeep(uint64_t subscription, std::size_t bytes, std::size_t snapshot_limit) const;
  std::size_t held(uint64_t subscription) const;

 private:
  struct Shared;  // what borrowed buffers refer to
  struct Loan;

  RegionClient(std::shared_ptr<Shared> shared, std::string token);
  void Watch(const std::function<void()>& on_end);

  const std::shared_ptr<Shared> shared_;
  const std::string token_;
  std::atomic<uint64_t> next_subscription_{1};
  std::thread thread_;
};

}  // namespace automot::shared_memory
