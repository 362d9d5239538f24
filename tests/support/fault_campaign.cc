#include "tests/support/fault_campaign.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <deque>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include "common/context/snapshot_store.h"
#include "tests/support/fault_stream.h"

namespace automot::test_support {
namespace {

using context::AssemblyRefusal;
using context::Rejection;
using context::SnapshotHeader;
using context::SnapshotPtr;
using context::SnapshotTrailer;
using faults::WireChunk;
using faults::WireMessage;
using Store = context::SnapshotStore<SnapshotPtr>;

constexpr uint64_t kEpoch = 40;
constexpr uint32_t kEpisode = 2;
constexpr std::size_t kMostFailures = 5;
// Two layers of K and V in one chunk each; or two chunks for each K.
constexpr context::ContextLayout kTiny{
    .layers = 3, .tokens = 2, .kv_heads = 1, .k_head_dim = 32, .v_head_dim = 16};
constexpr context::ContextLayout kLarge{
    .layers = 2, .tokens = 200, .kv_heads = 4, .k_head_dim = 64, .v_head_dim = 32};

// The code that snapshot_assembler.h states for each refusal.
bool HasItsCode(AssemblyRefusal refusal, absl::StatusCode code) {
  switch (refusal) {
    case AssemblyRefusal::kNone:
    case AssemblyRefusal::kReplaced:
      return false;
    case AssemblyRefusal::kHeader:
      return code == absl::StatusCode::kInvalidArgument || code == absl::StatusCode::kAborted ||
             code == absl::StatusCode::kFailedPrecondition;
    case AssemblyRefusal::kNoBuffer:
      return code == absl::StatusCode::kResourceExhausted;
    case AssemblyRefusal::kUnexpected:
      return code == absl::StatusCode::kFailedPrecondition;
    case AssemblyRefusal::kChunkBounds:
      return code == absl::StatusCode::kInvalidArgument || code == absl::StatusCode::kDataLoss;
    case AssemblyRefusal::kDecision:
      return code == absl::StatusCode::kInvalidArgument;
    default:
      return code == absl::StatusCode::kDataLoss;
  }
}

// What a receiver would see that computes no hash: descriptions that fit whatever came.
void Believe(std::vector<WireMessage>& messages) {
  for (WireMessage& message : messages) {
    if (auto* chunk = std::get_if<WireChunk>(&message)) {
      chunk->spec.hash = context::HashChunk(chunk->bytes);
    }
  }
  faults::Reseal(messages);
}

// What all threads share.
struct Field {
  StreamSource tiny{kTiny};
  StreamSource large{kLarge};
  context::KvBufferPool pool{{.byte_budget = std::size_t{256} << 20, .prefault = false}};
  std::unique_ptr<Store> store;
  std::vector<context::SessionHandle> sessions;

  const StreamSource& SourceOf(uint64_t seed, uint64_t large_every) const {
    return seed % large_every == large_every - 1 ? large : tiny;
  }
  const StreamSource& SourceOf(const context::ContextLayout& layout) const {
    return layout.tokens == kLarge.tokens ? large : tiny;
  }
};

// One publisher with a session of its own.
class Worker {
 public:
  Worker(Field& field, const CampaignOptions& options, uint64_t session, context::ReaderSlot reader)
      : field_(field), options_(options), session_(session), reader_(reader) {}

  void Run(uint64_t seed) {
    seed_ = seed;
    const StreamSource& source = field_.SourceOf(seed, options_.large_every);
    const uint64_t first = seed * kStreamVersions + 1;
    const std::size_t failures = report_.failures.size();
    Receive(source, source.Good(session_, first));
    if (committed_ != first) Fail("the undamaged snapshot was not taken");
    std::vector<WireMessage> messages = source.Good(session_, first + 1);
    std::ranges::move(source.Good(session_, first + 2), std::back_inserter(messages));
    faults::FaultedMessages faulted = faults::FaultPlan::FromSeed(seed).Inject(std::move(messages));
    for (const faults::FaultKind kind : faulted.injected) {
      ++report_.injected.at(static_cast<std::size_t>(kind));
    }
    report_.faults += faulted.injected.size();
    std::ranges::move(faulted.late, std::back_inserter(faulted.messages));
    if (!options_.verify) Believe(faulted.messages);
    Receive(source, faulted.messages);
    if (faulted.injected.empty() && committed_ != first + 2) Fail("no fault, and not delivered");
    CheckServed();
    ++report_.streams;
    if (report_.failures.size() > kMostFailures) report_.failures.resize(failures);
  }

  const CampaignReport& report() const { return report_; }

 private:
  void Fail(const std::string& what) {
    report_.failures.push_back(
        {seed_, what + " (" + faults::FaultPlan::FromSeed(seed_).ToString() + ")"});
  }

  void Note(const absl::Status& status) {
    if (status.ok()) return;
    const AssemblyRefusal refusal = assembler_.last_refusal();
    ++report_.refused.at(static_cast<std::size_t>(refusal));
    if (!HasItsCode(refusal, status.code())) {
      Fail(std::string("refusal ") + ToString(refusal) + " with " + status.ToString());
    }
  }

  void Commit(const StreamSource& source, const SnapshotPtr& snapshot) {
    const uint64_t version = snapshot->header.id.version;
    const std::string difference = source.Difference(*snapshot, session_, version);
    if (!difference.empty()) Fail("bad commit: " + difference);
    const SessionTimeUs capture = snapshot->header.capture_time_us;
    const Rejection rejection = field_.store->Publish(
        field_.sessions[session_ - 1], {snapshot->header.id, capture, capture}, snapshot);
    if (rejection != Rejection::kNone) {
      ++report_.rejected.at(static_cast<std::size_t>(rejection));
      if (version > committed_) Fail("a newer version was rejected");
      return;
    }
    if (version <= committed_) Fail("an older version was committed");
    committed_ = version;
    ++report_.committed;
  }

  // What a lane does with the messages of one stream, to its end.
  void Receive(const StreamSource& source, const std::vector<WireMessage>& messages) {
    const context::SnapshotExpectation expected = source.Expectation(session_);
    for (const WireMessage& message : messages) {
      if (const auto* header = std::get_if<SnapshotHeader>(&message)) {
        Note(assembler_.Begin(*header, expected));
        if (assembler_.last_refusal() == AssemblyRefusal::kReplaced) {
          ++report_.refused.at(static_cast<std::size_t>(AssemblyRefusal::kReplaced));
        }
      } else if (const auto* chunk = std::get_if<WireChunk>(&message)) {
        Note(assembler_.Add(chunk->spec, chunk->bytes));
      } else {
        const auto done = assembler_.Finish(std::get<SnapshotTrailer>(message));
        Note(done.status());
        if (done.ok()) Commit(source, *done);
      }
    }
    report_.interrupted += assembler_.in_progress() ? 1 : 0;
    assembler_.Abort();
  }

  // The last good version serves on.
  void CheckServed() {
    const Store::Handle handle = field_.store->Latest(field_.sessions[session_ - 1], reader_);
    if (!handle) return Fail("nothing is served");
    if (handle.id().version != committed_) return Fail("another version than the last good one");
    if ((*handle)->header.id != handle.id()) Fail("a payload of another version");
  }

  Field& field_;
  const CampaignOptions& options_;
  const uint64_t session_;  // 1 based
  const context::ReaderSlot reader_;
  context::SnapshotAssembler assembler_{&field_.pool};
  uint64_t seed_ = 0;
  uint64_t committed_ = 0;
  CampaignReport report_;
};

// Reads every session's latest while they are published: complete, and never older than before.
void ReadBeside(const Field& field, context::ReaderSlot reader, const std::atomic<bool>& done,
                CampaignReport* report) {
  std::vector<uint64_t> seen(field.sessions.size(), 0);
  while (!done.load(std::memory_order_relaxed)) {
    for (std::size_t i = 0; i < seen.size(); ++i) {
      const Store::Handle handle = field.store->Latest(field.sessions[i], reader);
      if (!handle) continue;
      const uint64_t version = handle.id().version;
      const StreamSource& source = field.SourceOf((*handle)->header.layout);
      std::string wrong = source.Difference(**handle, i + 1, version);
      if (wrong.empty() && version < seen[i]) wrong = "an older version than before";
      if (!wrong.empty() && report->failures.size() < kMostFailures) {
        report->failures.push_back({(version - 1) / kStreamVersions, "read: " + wrong});
      }
      seen[i] = version;
      ++report->reads;
    }
    std::this_thread::yield();
  }
}

}  // namespace

CampaignReport RunCampaign(const CampaignOptions& options) {
  Field field;
  const auto threads = static_cast<uint32_t>(options.threads);
  field.store =
      Store::Create(
          {.sessions = threads, .retained = 2, .readers = threads + 1, .pins_per_reader = 2})
          .value();
  std::deque<Worker> workers;  // which do not move
  for (uint64_t session = 1; session <= threads; ++session) {
    field.sessions.push_back(field.store->Open(session, kEpisode).value());
    field.store->Fence(field.sessions.back(), kEpoch).IgnoreError();
    workers.emplace_back(field, options, session, field.store->RegisterReader("publisher").value());
  }
  const context::ReaderSlot beside = field.store->RegisterReader("beside").value();
  CampaignReport total;
  std::atomic<bool> done{false};
  std::thread reader([&] { ReadBeside(field, beside, done, &total); });
  std::vector<std::thread> running;
  for (uint32_t i = 0; i < threads; ++i) {
    running.emplace_back([&, i] {
      for (uint64_t n = i; n < options.streams; n += threads)
        workers[i].Run(options.first_seed + n);
    });
  }
  for (std::thread& thread : running) thread.join();
  done = true;
  reader.join();
  for (const Worker& worker : workers) total.Add(worker.report());
  if (field.pool.stats().lent_buffers > std::size_t{2} * threads) {
    total.failures.push_back({options.first_seed, "buffers of refused snapshots are not back"});
  }
  return total;
}

void CampaignReport::Add(const CampaignReport& other) {
  streams += other.streams;
  faults += other.faults;
  committed += other.committed;
  interrupted += other.interrupted;
  reads += other.reads;
  for (std::size_t i = 0; i < injected.size(); ++i) injected.at(i) += other.injected.at(i);
  for (std::size_t i = 0; i < refused.size(); ++i) refused.at(i) += other.refused.at(i);
  for (std::size_t i = 0; i < rejected.size(); ++i) rejected.at(i) += other.rejected.at(i);
  failures.insert(failures.end(), other.failures.begin(), other.failures.end());
  std::ranges::sort(failures, {}, &CampaignFailure::seed);
}

std::string CampaignReport::ToString() const {
  std::string text = std::to_string(faults) + " faults in " + std::to_string(streams) +
                     " streams; " + std::to_string(committed) + " commits, " +
                     std::to_string(interrupted) + " interrupted, " + std::to_string(reads) +
                     " reads beside";
  const auto list = [&text](const char* title, const auto& counts, auto name) {
    text += std::string("\n") + title + ":";
    for (std::size_t i = 0; i < counts.size(); ++i) {
      if (counts.at(i) != 0)
        text += std::string(" ") + name(i) + "=" + std::to_string(counts.at(i));
    }
  };
  list("injected", injected, [](std::size_t i) { return faults::ToString(faults::FaultKind(i)); });
  list("refused", refused, [](std::size_t i) { return context::ToString(AssemblyRefusal(i)); });
  list("rejected", rejected, [](std::size_t i) { return context::ToString(Rejection(i)); });
  for (const CampaignFailure& failure : failures) {
    text += "\nFAILED " + failure.what + "\n  replay: " + ReplayCommand(failure.seed);
  }
  return text;
}

CampaignOptions SeedsToRun(uint64_t streams) {
  const char* const one = std::getenv("AUTOMOT_FAULT_SEED");
  if (one == nullptr) return {.streams = streams};
  return {.first_seed = std::strtoull(one, nullptr, 10), .streams = 1, .threads = 1};
}

std::string ReplayCommand(uint64_t seed) {
  return "AUTOMOT_FAULT_SEED=" + std::to_string(seed) +
         " ctest --preset release -R FaultCampaignTest.EveryFault -V";
}

}  // namespace automot::test_support
