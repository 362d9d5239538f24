#include "common/context/memory_budget.h"

#include <algorithm>
#include <mutex>
#include <unordered_map>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"

namespace automot::context {
namespace {

constexpr std::size_t kVersionsPerSession = 2;  // the one that serves and its successor

}  // namespace

// Shared by the budget and its charges. Thread-safe.
class MemoryBudget::Ledger {
 public:
  explicit Ledger(const Options& options) : options_(options) {
    stats_.process_limit_bytes = options.process_bytes;
    stats_.session_limit_bytes = options.session_bytes;
    version_bytes_ = options.expected_version_bytes;
  }

  absl::Status Open() {
    const std::lock_guard lock(mutex_);
    const std::size_t own = kVersionsPerSession * version_bytes_;
    if (options_.session_bytes != 0 && own > options_.session_bytes) {
      ++stats_.sessions_refused;
      return absl::ResourceExhaustedError(
          absl::StrCat("session refused: two versions of its context take ", own,
                       " bytes, the limit of a session is ", options_.session_bytes, " bytes"));
    }
    const std::size_t wanted = (stats_.sessions + 1) * own;
    if (wanted > options_.process_bytes) {
      ++stats_.sessions_refused;
      return absl::ResourceExhaustedError(
          absl::StrCat("session refused: two versions of ", version_bytes_, " bytes for each of ",
                       stats_.sessions, " open sessions and this one take ", wanted,
                       " bytes, the limit of the process is ", options_.process_bytes, " bytes"));
    }
    ++stats_.sessions;
    return absl::OkStatus();
  }

  void Close() {
    const std::lock_guard lock(mutex_);
    --stats_.sessions;
  }

  absl::Status Take(uint64_t session, std::size_t bytes, Refusal* refusal) {
    const std::lock_guard lock(mutex_);
    version_bytes_ = std::max(version_bytes_, bytes);
    const auto at = held_.find(session);
    const std::size_t held = at == held_.end() ? 0 : at->second;
    if (options_.session_bytes != 0 && !Fits(bytes, held, options_.session_bytes)) {
      ++stats_.versions_refused_by_session;
      if (refusal != nullptr) *refusal = Refusal::kSession;
      return Refused(bytes, "the session", held, options_.session_bytes);
    }
    if (!Fits(bytes, stats_.used_bytes, options_.process_bytes)) {
      ++stats_.versions_refused_by_process;
      if (refusal != nullptr) *refusal = Refusal::kProcess;
      return Refused(bytes, "the process", stats_.used_bytes, options_.process_bytes);
    }
    stats_.used_bytes += bytes;
    held_[session] += bytes;
    return absl::OkStatus();
  }

  void GiveBack(uint64_t session, std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    stats_.used_bytes -= bytes;
    const auto at = held_.find(session);
    at->second -= bytes;
    if (at->second == 0) held_.erase(at);
  }

  Stats stats() const {
    const std::lock_guard lock(mutex_);
    Stats stats = stats_;
    for (const auto& [session, bytes] : held_) {
      stats.largest_session_bytes = std::max(stats.largest_session_bytes, bytes);
    }
    return stats;
  }

 private:
  static bool Fits(std::size_t bytes, std::size_t used, std::size_t limit) {
    return used <= limit && bytes <= limit - used;
  }
  static absl::Status Refused(std::size_t bytes, const char* whose, std::size_t held,
                              std::size_t limit) {
    return absl::ResourceExhaustedError(absl::StrCat("context version of ", bytes,
                                                     " bytes refused: ", whose, " holds ", held,
                                                     " bytes, limit ", limit, " bytes"));
  }

  const Options options_;
  mutable std::mutex mutex_;
  Stats stats_ ABSL_GUARDED_BY(mutex_);                    // largest_session_bytes apart
  std::size_t version_bytes_ ABSL_GUARDED_BY(mutex_) = 0;  // largest seen or expected
  std::unordered_map<uint64_t, std::size_t> held_ ABSL_GUARDED_BY(mutex_);  // by session, never 0
};

MemoryBudget::MemoryBudget(const Options& options) : ledger_(std::make_shared<Ledger>(options)) {}
MemoryBudget::~MemoryBudget() = default;

absl::Status MemoryBudget::Open() { return ledger_->Open(); }
void MemoryBudget::Close() { ledger_->Close(); }

absl::StatusOr<MemoryBudget::Charge> MemoryBudget::Take(uint64_t session, std::size_t bytes,
                                                        Refusal* refusal) {
  if (bytes == 0) return Charge();
  AUTOMOT_RETURN_IF_ERROR(ledger_->Take(session, bytes, refusal));
  return Charge(ledger_, session, bytes);
}

MemoryBudget::Stats MemoryBudget::stats() const { return ledger_->stats(); }

MemoryBudget::Charge& MemoryBudget::Charge::operator=(Charge&& other) noexcept {
  if (this == &other) return *this;
  GiveBack();
  ledger_ = std::exchange(other.ledger_, nullptr);
  session_ = other.session_;
  bytes_ = std::exchange(other.bytes_, 0);
  return *this;
}

void MemoryBudget::Charge::GiveBack() {
  if (ledger_ == nullptr) return;
  ledger_->GiveBack(session_, bytes_);
  ledger_.reset();
  bytes_ = 0;
}

}  // namespace automot::context
