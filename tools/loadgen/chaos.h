// What vehicles do to a server on purpose, drawn from a seed: the same seed gives the same acts at
// the same ticks.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <random>
#include <set>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace automot::loadgen {

enum class ChaosAct : uint8_t {
  kDisconnect,  // drops the connection under a plan, and takes the session over on a new one
  kSlowReader,  // streams: leaves answers unread for some ticks
  kClockSkew,   // the vehicle's clock jumps ahead, or one observation comes from the past
  kCancel,      // gives a plan up while the server has it
  kReset,       // a new episode
  kReopen,      // closes the session and opens it again under its name
};
inline constexpr std::array kChaosActs = {ChaosAct::kDisconnect, ChaosAct::kSlowReader,
                                          ChaosAct::kClockSkew,  ChaosAct::kCancel,
                                          ChaosAct::kReset,      ChaosAct::kReopen};
// disconnect, slow_reader, clock_skew, cancel, reset, reopen.
std::string_view ToString(ChaosAct act);

struct ChaosOptions {
  std::set<ChaosAct> acts;
  double rate = 0.02;  // of ticks, 0 .. 0.5
  uint64_t seed = 1;
};

// Names with commas. INVALID_ARGUMENT naming what is none.
absl::StatusOr<std::set<ChaosAct>> ParseChaos(absl::string_view text);

// One vehicle's acts. Not thread-safe.
class Chaos {
 public:
  Chaos(const ChaosOptions& options, uint64_t vehicle);

  // The next tick's act, if any.
  std::optional<ChaosAct> Next();
  // A draw of 0 .. 1 for the size of an act.
  double Size();

 private:
  const ChaosOptions options_;
  std::mt19937_64 random_;
};

}  // namespace automot::loadgen
