#include "tests/model/store_scenario.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "tests/model/table_state.h"

namespace automot::model {
namespace {

using context::Miss;
using context::Rejection;
using context::SessionHandle;
using context::VersionInfo;

constexpr uint32_t kMostVersions = 8;
constexpr uint32_t kRetained = 2;

// What the checks remember of each version.
struct Census {
  Explorer* explorer = nullptr;
  std::array<int, kMostVersions> held{};  // handles
  std::array<bool, kMostVersions> alive{};
  int living() const { return static_cast<int>(std::ranges::count(alive, true)); }
};

class Payload {
 public:
  Payload(uint64_t version, Census* census) : version_(version), census_(census) {
    census_->alive[version_] = true;
  }
  ~Payload() {
    census_->explorer->Touch(static_cast<uint32_t>(version_), true);
    if (census_->held[version_] != 0) {
      census_->explorer->Fail("version " + std::to_string(version_) + " freed under a handle");
    }
    census_->alive[version_] = false;
  }
  Payload(const Payload&) = delete;
  Payload& operator=(const Payload&) = delete;

  uint64_t version() const { return version_; }

 private:
  const uint64_t version_;
  Census* const census_;
};

using Store = context::SnapshotStore<std::unique_ptr<Payload>>;

// A store with one open session, and one pin for each reader.
class StoreScenario : public Scenario {
 public:
  StoreScenario(Explorer& explorer, int readers, uint32_t sessions) : explorer_(explorer) {
    census_.explorer = &explorer;
    store_ = Store::Create({.sessions = sessions,
                            .retained = kRetained,
                            .max_retained = kRetained,
                            .readers = static_cast<uint32_t>(readers),
                            .pins_per_reader = 1})
                 .value();
    for (int i = 0; i < readers; ++i) readers_.push_back(store_->RegisterReader("r").value());
    session_ = store_->Open(1, 1).value();
    store_->Fence(session_, 1).IgnoreError();
  }
  ~StoreScenario() override { census_.held.fill(0); }

  uint64_t Fingerprint() const override {
    uint64_t print = context::VersionTableState::Fingerprint(*store_);
    for (uint32_t i = 0; i < kMostVersions; ++i) {
      print = print * 31 + static_cast<uint64_t>(census_.held[i] * 2) + (census_.alive[i] ? 1 : 0);
    }
    return (print * 31 + published_) * 31 + seen_;
  }

 protected:
  static VersionInfo Info(uint64_t version, uint64_t session = 1) {
    const auto time = static_cast<SessionTimeUs>(version);
    return {{session, 1, 1, version}, time, time};
  }
  Rejection Publish(SessionHandle session, const VersionInfo& info) {
    return store_->Publish(session, info, std::make_unique<Payload>(info.id.version, &census_));
  }
  void Expect(bool good, const std::string& otherwise) {
    if (!good) explorer_.Fail(otherwise);
  }

  // The newest version by either of the store's two ways of reading.
  Store::Handle Newest(int reader, bool counted) const {
    const context::ReaderSlot slot = readers_[static_cast<std::size_t>(reader)];
    return counted ? store_->AtLeast(session_, slot, {1, 1, 1, 1}) : store_->Latest(session_, slot);
  }

  // Looks at what a handle holds, twice, with room for others in between.
  void Look(const Store::Handle& handle) {
    const uint64_t version = handle.id().version;
    ++census_.held[version];
    for (int i = 0; i < 2; ++i) {
      explorer_.Touch(static_cast<uint32_t>(version), false);
      Expect(census_.alive[version], "version " + std::to_string(version) + " read after its end");
      if (!census_.alive[version]) break;
      Expect(handle.id().version == version, "the handle's version changed");
      Expect((*handle)->version() == version, "the payload is another version's");
    }
    --census_.held[version];
  }

  Explorer& explorer_;
  Census census_;
  std::unique_ptr<Store> store_;  // before the census
  std::vector<context::ReaderSlot> readers_;
  SessionHandle session_;
  uint64_t published_ = 0;  // newest version whose publication has returned
  uint64_t seen_ = 0;       // newest version that any reader got
};

class PublishReadRetireScenario final : public StoreScenario {
 public:
  PublishReadRetireScenario(Explorer& explorer, const StoreShape& shape)
      : StoreScenario(explorer, shape.readers, 1), shape_(shape) {}

  int threads() const override { return shape_.readers + shape_.writers; }

  void Run(int index) override {
    if (index < shape_.readers) {
      for (int i = 0; i < shape_.reads; ++i) Read(index, i);
    } else {
      for (int v = index - shape_.readers; v < shape_.versions; v += shape_.writers) {
        Write(static_cast<uint64_t>(v) + 1);
      }
    }
  }

  void Finish() override {
    store_->Collect();
    const auto stats = store_->stats();
    Expect(stats.pins_in_use == 0, "a pin is left");
    Expect(census_.living() == static_cast<int>(std::min<uint64_t>(stats.published, kRetained)),
           "garbage is left, or a retained version is gone");
    Expect(store_->Latest(session_, readers_[0]).id().version ==
               static_cast<uint64_t>(shape_.versions),
           "the newest version is not served");
  }

 private:
  void Read(int reader, int number) {
    const uint64_t bound = std::max(published_, seen_);
    explorer_.BeginAction(static_cast<uint64_t>(number) << 32 | bound);
    const Store::Handle handle = Newest(reader, shape_.counted);
    if (!handle) {
      Expect(handle.miss() == Miss::kNoVersion && bound == 0,
             "a version was there, and none given");
      return;
    }
    const uint64_t version = handle.id().version;
    Expect(version >= bound, "an older version than one that was there before the read began");
    seen_ = std::max(seen_, version);
    Look(handle);
  }

  void Write(uint64_t version) {
    explorer_.BeginAction(version);
    const Rejection rejection = Publish(session_, Info(version));
    if (rejection == Rejection::kNone) {
      published_ = std::max(published_, version);
    } else {
      Expect(rejection == Rejection::kOldVersion, "refused for no reason");
    }
    // K retained, one for each pin, K for each reader inside the read, one for each writer.
    Expect(census_.living() <= static_cast<int>(kRetained) + shape_.readers +
                                   static_cast<int>(kRetained) * shape_.readers + shape_.writers,
           "garbage is not bounded");
  }

  const StoreShape shape_;
};

class CloseAndReuseScenario final : public StoreScenario {
 public:
  CloseAndReuseScenario(Explorer& explorer, int readers) : StoreScenario(explorer, readers, 1) {
    Publish(session_, Info(1));
  }
  int threads() const override { return static_cast<int>(readers_.size()) + 1; }
  void Run(int index) override {
    explorer_.BeginAction(static_cast<uint64_t>(index));
    if (index + 1 < threads()) return Read(index);
    Expect(store_->Close(session_).ok(), "close");
    const auto other = store_->Open(2, 1);
    Expect(other.ok() && other->slot == session_.slot, "the slot is free at once");
    Expect(store_->Fence(*other, 1).ok(), "fence");
    Expect(Publish(*other, Info(2, 2)) == Rejection::kNone, "publish");
  }
  void Finish() override {
    store_->Collect();
    Expect(census_.living() == 1, "the closed session's version is left");
  }

 private:
  void Read(int reader) {
    const Store::Handle handle = Newest(reader, reader % 2 == 1);
    // Closing hides the versions, then ends the session: a reader may come in between.
    const bool closed = handle.miss() == Miss::kUnknownSession || handle.miss() == Miss::kNoVersion;
    if (!handle) return Expect(closed, "another miss");
    Expect(handle.id().session == 1, "a version of another session");
    Look(handle);
  }
};

class ReadAndDrainScenario final : public StoreScenario {
 public:
  explicit ReadAndDrainScenario(Explorer& explorer) : StoreScenario(explorer, 2, 1) {
    Publish(session_, Info(1));
  }
  int threads() const override { return 3; }
  void Run(int index) override {
    explorer_.BeginAction(static_cast<uint64_t>(index));
    if (index < 2) return Read(index);
    drained_ = store_->Drain(absl::ZeroDuration()).ok();
    if (drained_) Expect(census_.held[1] == 0, "drained with a handle left");
  }
  void Finish() override { Expect(store_->stats().pins_in_use == 0, "a pin is left"); }
  uint64_t Fingerprint() const override {
    return StoreScenario::Fingerprint() * 2 + (drained_ ? 1 : 0);
  }

 private:
  void Read(int reader) {
    const Store::Handle handle = Newest(reader, reader % 2 == 1);
    if (!handle) return Expect(handle.miss() == Miss::kDraining, "another miss");
    Expect(!drained_, "a handle after the drain");
    Look(handle);
  }

  bool drained_ = false;
};

}  // namespace

Explorer::Maker PublishReadRetire(const StoreShape& shape) {
  return [shape](Explorer& explorer) {
    return std::make_unique<PublishReadRetireScenario>(explorer, shape);
  };
}
Explorer::Maker CloseAndReuse(int readers) {
  return [readers](Explorer& explorer) {
    return std::make_unique<CloseAndReuseScenario>(explorer, readers);
  };
}
Explorer::Maker ReadAndDrain() {
  return [](Explorer& explorer) { return std::make_unique<ReadAndDrainScenario>(explorer); };
}

}  // namespace automot::model
