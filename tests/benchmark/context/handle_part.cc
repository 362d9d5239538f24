// What reading the newest version costs a reader: acquire, look, release.
#include <time.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <utility>
#include <vector>

#include "tests/benchmark/comparison/report.h"
#include "tests/benchmark/context/context_parts.h"
#include "tests/benchmark/version_holders.h"

namespace automot::benchmarks {
namespace {

using nlohmann::json;

constexpr double kMostNs = 10.0;
constexpr double kMostGrowth = 1.2;  // of N readers against one: above it is not flat
constexpr int kReads = 2'000'000;    // of each reader, about 20 ms
constexpr std::chrono::milliseconds kPublicationPeriod{1};

double ThreadSeconds() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

template <typename Body>
double NsOf(int count, Body body) {
  uint64_t sum = 0;
  const double begin = ThreadSeconds();
  for (int i = 0; i < count; ++i) sum += body();
  const double ns = 1e9 * (ThreadSeconds() - begin) / count;
  asm volatile("" : : "r"(sum));
  return ns;
}

// Publishes a version per millisecond while it lives.
template <typename Holder>
class Publications {
 public:
  explicit Publications(Holder* holder)
      : thread_([this, holder] {
          auto next = std::chrono::steady_clock::now();
          for (; !done_; ++version_) {
            holder->Publish(version_);
            std::this_thread::sleep_until(next += kPublicationPeriod);
          }
        }) {}
  ~Publications() {
    done_ = true;
    thread_.join();
  }

 private:
  uint64_t version_ = 2;
  std::atomic<bool> done_{false};
  std::thread thread_;
};

// Mean over `threads` readers, beside the publications.
template <typename Holder>
double NsPerRead(int threads) {
  Holder holder;
  holder.Publish(1);
  const Publications<Holder> publications(&holder);
  std::vector<double> ns(static_cast<std::size_t>(threads));
  std::vector<std::thread> readers;
  for (int i = 0; i < threads; ++i) {
    readers.emplace_back([&holder, &ns, i] {
      ns[static_cast<std::size_t>(i)] = NsOf(kReads, [&holder, i] { return holder.Read(i); });
    });
  }
  double sum = 0;
  for (std::thread& reader : readers) reader.join();
  for (double one : ns) sum += one;
  return sum / threads;
}

double NsPerFind() {
  WaitFreeHolder holder;
  return NsOf(kReads / 10, [&holder] { return holder.Find() ? 1U : 0U; });
}

struct Candidate {
  const char* name;
  double (*ns_per_read)(int threads);
};
constexpr Candidate kCandidates[] = {{"store", NsPerRead<WaitFreeHolder>},
                                     {"mutex and shared_ptr", NsPerRead<MutexHolder>},
                                     {"atomic<shared_ptr>", NsPerRead<AtomicSharedPtrHolder>}};

json Measure(const Candidate& candidate, const std::vector<int>& threads,
             const std::vector<std::vector<double>>& ns) {
  json rows = json::array();
  std::string line;
  for (std::size_t i = 0; i < threads.size(); ++i) {
    const Ratio spread = SpreadOf(ns[i]);
    rows.push_back({{"threads", threads[i]},
                    {"ns", spread.median},
                    {"ns_interval", {spread.low, spread.high}}});
    line += std::to_string(threads[i]) + Number(": %.1f ", spread.median) +
            Number("[%.1f, ", spread.low) + Number("%.1f]   ", spread.high);
  }
  Say(candidate.name, line + "ns CPU by reader threads");
  return rows;
}

// The store's rows against the limits.
void Judge(const std::vector<std::vector<double>>& ns, json* handle) {
  std::size_t worst = 0;
  for (std::size_t i = 1; i < ns.size(); ++i) {
    if (Median(ns[i]) > Median(ns[worst])) worst = i;
  }
  const Ratio growth = RatioOf(ns.back(), ns.front());
  const std::string verdict = VerdictAtMost(ns[worst], kMostNs);
  const char* const flat = growth.high <= kMostGrowth ? "PASS"
                           : growth.low > kMostGrowth ? "FAIL"
                                                      : "NOT RESOLVABLE HERE";
  (*handle)["ns"] = Median(ns[worst]);
  (*handle)["limit_ns"] = kMostNs;
  (*handle)["verdict"] = verdict;
  (*handle)["growth"] = ToJson(growth);
  (*handle)["flat_verdict"] = flat;
  Say("store", Number("%.1f ns at most   ", Median(ns[worst])) +
                   Number("limit %.0f ns: ", kMostNs) + verdict);
  Say("store, most readers against one",
      ToText(growth) + Number("   at most %.1fx: ", kMostGrowth) + flat);
}

}  // namespace

void RunHandle(const ContextFlags& flags, json* result) {
  const std::vector<int> threads = {1, 2, 4};
  std::vector<std::vector<std::vector<double>>> ns(
      std::size(kCandidates), std::vector<std::vector<double>>(threads.size()));
  std::vector<double> find_ns;
  for (int round = 0; round < flags.lanes.rounds; ++round) {
    for (std::size_t i = 0; i < threads.size(); ++i) {
      for (std::size_t c = 0; c < std::size(kCandidates); ++c) {
        ns[c][i].push_back(kCandidates[c].ns_per_read(threads[i]));
      }
    }
    find_ns.push_back(NsPerFind());
  }
  json& handle = (*result)["handle"];
  handle["threads"] = threads.back();
  for (std::size_t c = 0; c < std::size(kCandidates); ++c) {
    handle["candidates"][kCandidates[c].name] = Measure(kCandidates[c], threads, ns[c]);
  }
  Judge(ns[0], &handle);
  handle["find_ns"] = Median(find_ns);
  Say("finding a session by its number", Number("%.1f ns CPU, not on the path", Median(find_ns)));
}

}  // namespace automot::benchmarks
