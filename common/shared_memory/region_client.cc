#include "common/shared_memory/region_client.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include <xxhash.h>

#include <chrono>
#include <deque>
#include <map>
#include <mutex>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "common/concurrency/thread_placement.h"
#include "common/status/status_macros.h"

namespace automot::shared_memory {
namespace {

using context::MappedRegion;
using SteadyTime = std::chrono::steady_clock::time_point;

// The next message, or why there will be none.
absl::StatusOr<ReceivedRegionMessage> Await(int socket, SteadyTime deadline) {
  while (true) {
    AUTOMOT_ASSIGN_OR_RETURN(auto received, Receive(socket));
    if (received) return *std::move(received);
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) {
      return absl::DeadlineExceededError("the producer's socket does not answer");
    }
    pollfd polled = {socket, POLLIN, 0};
    poll(&polled, 1, static_cast<int>(left.count()));
  }
}

absl::StatusOr<ReceivedRegionMessage> AwaitKind(int socket, SteadyTime deadline,
                                                RegionMessageKind kind) {
  AUTOMOT_ASSIGN_OR_RETURN(auto received, Await(socket, deadline));
  if (received.message.kind == RegionMessageKind::kRefused) {
    return absl::PermissionDeniedError("the producer's socket refuses this process");
  }
  if (received.message.kind != kind) {
    return absl::FailedPreconditionError("the producer's socket speaks another protocol");
  }
  return received;
}

// Reads the probe region and tells its hash.
absl::Status Prove(int socket, ReceivedRegionMessage welcome, SteadyTime deadline) {
  AUTOMOT_ASSIGN_OR_RETURN(const auto probe,
                           MappedRegion::Map(std::move(welcome.descriptor), welcome.message.value));
  const uint64_t hash = XXH3_64bits(probe->bytes().data(), probe->bytes().size());
  AUTOMOT_RETURN_IF_ERROR(Send(socket, {.kind = RegionMessageKind::kProbe, .value = hash}));
  return AwaitKind(socket, deadline, RegionMessageKind::kReady).status();
}

}  // namespace

const char* ToString(PlaceRefusal refusal) {
  static constexpr const char* kNames[] = {"none", "unknown_region", "bad_region",
                                           "stale_generation", "out_of_bounds"};
  const auto index = static_cast<std::size_t>(refusal);
  return index < std::size(kNames) ? kNames[index] : "unknown";
}

struct RegionClient::Shared {
  struct Known {
    std::shared_ptr<const MappedRegion> mapped;  // null: refused
    uint64_t generation = 0;                     // the last one borrowed
  };

  // Says it now, or leaves it to the client's thread.
  void Say(const RegionMessage& message) {
    const std::lock_guard lock(mutex);
    if (ended) return;
    if (backlog.empty()) {
      const absl::Status sent = Send(socket.get(), message);
      if (!absl::IsResourceExhausted(sent)) return;  // said, or there is nobody to say it to
    }
    backlog.push_back(message);
    Wake();
  }
  void Wake() const {
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = write(wake.get(), &one, sizeof(one));
  }
  // True: there is more to say.
  bool SayBacklog() {
    const std::lock_guard lock(mutex);
    while (!backlog.empty()) {
      if (absl::IsResourceExhausted(Send(socket.get(), backlog.front()))) return true;
      backlog.pop_front();
    }
    return false;
  }
  void End() {
    const std::lock_guard lock(mutex);
    ended = true;
    backlog.clear();
  }
  bool over() {
    const std::lock_guard lock(mutex);
    return ended || closing;
  }

  // Takes in what the producer has said since.
  absl::Status Hear() {
    while (true) {
      AUTOMOT_ASSIGN_OR_RETURN(auto received, Receive(socket.get()));
      if (!received) return absl::OkStatus();
      const RegionMessage& message = received->message;
      if (message.kind == RegionMessageKind::kRegionGone) {
        known.erase(message.region);
      } else if (message.kind == RegionMessageKind::kRegion) {
        auto mapped = MappedRegion::Map(std::move(received->descriptor), message.value);
        const bool fresh = !known.contains(message.region);
        known[message.region] = {mapped.ok() && fresh ? *mapped : nullptr, 0};
      } else {
        return absl::DataLossError("the producer's socket speaks out of turn");
      }
    }
  }

  absl::StatusOr<std::shared_ptr<const MappedRegion>> Find(const RegionUse& use,
                                                           const context::ContextLayout& layout,
                                                           PlaceRefusal* refusal);

  UniqueDescriptor socket;
  UniqueDescriptor wake;
  std::size_t consumer_bytes = 0;
  std::map<uint64_t, Known> known;  // of the borrowing thread alone

  std::mutex mutex;
  std::deque<RegionMessage> backlog ABSL_GUARDED_BY(mutex);
  std::map<uint64_t, std::size_t> held ABSL_GUARDED_BY(mutex);  // by subscription
  std::size_t held_bytes ABSL_GUARDED_BY(mutex) = 0;
  bool ended ABSL_GUARDED_BY(mutex) = false;
  bool closing ABSL_GUARDED_BY(mutex) = false;
};

// One borrowed use; its end is the release.
struct RegionClient::Loan {
  Loan(std::shared_ptr<Shared> from, std::shared_ptr<const MappedRegion> mapped_region,
       uint64_t subscription_number, const RegionUse& borrowed)
      : shared(std::move(from)),
        mapped(std::move(mapped_region)),
        subscription(subscription_number),
        use(borrowed) {
    const std::lock_guard lock(shared->mutex);
    ++shared->held[subscription];
    shared->held_bytes += mapped->bytes().size();
  }
  ~Loan() {
    {
      const std::lock_guard lock(shared->mutex);
      if (--shared->held[subscription] == 0) shared->held.erase(subscription);
      shared->held_bytes -= mapped->bytes().size();
    }
    shared->Say(
        {.kind = RegionMessageKind::kRelease, .region = use.region, .generation = use.generation});
  }
  Loan(const Loan&) = delete;
  Loan& operator=(const Loan&) = delete;

  const std::shared_ptr<Shared> shared;
  const std::shared_ptr<const MappedRegion> mapped;
  const uint64_t subscription;
  const RegionUse use;
};

absl::StatusOr<std::unique_ptr<RegionClient>> RegionClient::Connect(const Options& options) {
  const auto deadline =
      std::chrono::steady_clock::now() + absl::ToChronoMilliseconds(options.timeout);
  auto shared = std::make_shared<Shared>();
  AUTOMOT_ASSIGN_OR_RETURN(shared->socket, ConnectLocal(options.path));
  shared->wake = UniqueDescriptor(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!shared->wake.valid()) return absl::UnavailableError("no event descriptor");
  const int socket = shared->socket.get();
  AUTOMOT_ASSIGN_OR_RETURN(ReceivedRegionMessage welcome,
                           AwaitKind(socket, deadline, RegionMessageKind::kWelcome));
  const RegionMessage message = welcome.message;
  if (options.producer != 0 && message.region != options.producer) {
    return absl::FailedPreconditionError(
        absl::StrCat(options.path, " is the socket of another producer"));
  }
  AUTOMOT_RETURN_IF_ERROR(Prove(socket, std::move(welcome), deadline));
  shared->consumer_bytes = message.consumer_bytes;
  return std::unique_ptr<RegionClient>(
      new RegionClient(std::move(shared), std::string(message.token_view())));
}

RegionClient::RegionClient(std::shared_ptr<Shared> shared, std::string token)
    : shared_(std::move(shared)), token_(std::move(token)) {}

RegionClient::~RegionClient() {
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->closing = true;
  }
  shared_->Wake();
  if (thread_.joinable()) thread_.join();
  shared_->End();
  shutdown(shared_->socket.get(), SHUT_RDWR);  // loans may keep the descriptor open
}

void RegionClient::WatchEnd(std::function<void()> on_end) {
  thread_ = std::thread([this, on_end = std::move(on_end)] { Watch(on_end); });
}

void RegionClient::Watch(const std::function<void()>& on_end) {
  NameThread("region-client");
  bool more = false;
  while (!shared_->over()) {
    const short events = static_cast<short>(POLLRDHUP | (more ? POLLOUT : 0));
    pollfd polled[] = {{shared_->socket.get(), events, 0}, {shared_->wake.get(), POLLIN, 0}};
    if (poll(polled, 2, -1) < 0) continue;
    if ((polled[0].revents & (POLLHUP | POLLRDHUP | POLLERR)) != 0) {
      shared_->End();
      return on_end();
    }
    uint64_t woken = 0;
    [[maybe_unused]] const ssize_t bytes = read(shared_->wake.get(), &woken, sizeof(woken));
    more = shared_->SayBacklog();
  }
}

absl::StatusOr<std::shared_ptr<const MappedRegion>> RegionClient::Shared::Find(
    const RegionUse& use, const context::ContextLayout& layout, PlaceRefusal* refusal) {
  const auto refuse = [&](PlaceRefusal why, const std::string& text) {
    *refusal = why;
    return absl::DataLossError(absl::StrCat("region ", use.region, ", generation ", use.generation,
                                            ", offset ", use.offset_bytes, ", length ",
                                            use.length_bytes, ": ", text));
  };
  const auto at = known.find(use.region);
  if (at == known.end()) return refuse(PlaceRefusal::kUnknownRegion, "no such region came");
  Known& region = at->second;
  if (region.mapped == nullptr) {
    return refuse(PlaceRefusal::kBadRegion, "its descriptor was refused");
  }
  if (use.generation <= region.generation) {
    return refuse(PlaceRefusal::kStaleGeneration,
                  absl::StrCat("generation ", region.generation, " was there before"));
  }
  region.generation = use.generation;
  const std::size_t bytes = region.mapped->bytes().size();
  if (use.length_bytes != layout.total_bytes() || use.length_bytes > bytes ||
      use.offset_bytes > bytes - use.length_bytes ||
      use.offset_bytes % context::kTensorAlignment != 0) {
    return refuse(PlaceRefusal::kOutOfBounds,
                  absl::StrCat("the region has ", bytes, " bytes, the snapshot ",
                               layout.total_bytes(), ", aligned to ", context::kTensorAlignment));
  }
  return region.mapped;
}

absl::StatusOr<context::KvBuffer> RegionClient::Borrow(uint64_t subscription, const RegionUse& use,
                                                       const context::ContextLayout& layout,
                                                       PlaceRefusal* refusal) {
  *refusal = PlaceRefusal::kNone;
  if (absl::Status heard = shared_->Hear(); !heard.ok()) {
    shutdown(shared_->socket.get(), SHUT_RDWR);  // what it says next cannot be trusted either
    return heard;
  }
  absl::StatusOr<std::shared_ptr<const MappedRegion>> mapped;
  const absl::Status valid = layout.Validate();
  mapped = valid.ok() ? shared_->Find(use, layout, refusal) : valid;
  if (!mapped.ok()) {
    Return(use);
    return mapped.status();
  }
  const auto bytes = (*mapped)->bytes().subspan(use.offset_bytes, use.length_bytes);
  auto loan = std::make_shared<Loan>(shared_, *std::move(mapped), subscription, use);
  // Spans of a buffer are not const; the pages are.
  return context::KvBuffer::Adopt(layout, {const_cast<std::byte*>(bytes.data()), bytes.size()},
                                  std::move(loan));
}

void RegionClient::Return(const RegionUse& use) {
  shared_->Say(
      {.kind = RegionMessageKind::kRelease, .region = use.region, .generation = use.generation});
}

void RegionClient::EndSubscription(uint64_t subscription, uint64_t received) {
  shared_->Say({.kind = RegionMessageKind::kEnd, .region = subscription, .value = received});
}

bool RegionClient::RoomToKeep(uint64_t subscription, std::size_t bytes,
                              std::size_t snapshot_limit) const {
  constexpr std::size_t kInTransit = 2;  // places that snapshots on their way need
  const std::size_t byte_limit = shared_->consumer_bytes / 4 * 3;
  const std::lock_guard lock(shared_->mutex);
  const auto at = shared_->held.find(subscription);
  const std::size_t held = at == shared_->held.end() ? 0 : at->second;
  return held + kInTransit <= snapshot_limit && bytes <= byte_limit &&
         shared_->held_bytes <= byte_limit - bytes;
}

std::size_t RegionClient::held(uint64_t subscription) const {
  const std::lock_guard lock(shared_->mutex);
  const auto at = shared_->held.find(subscription);
  return at == shared_->held.end() ? 0 : at->second;
}

}  // namespace automot::shared_memory
