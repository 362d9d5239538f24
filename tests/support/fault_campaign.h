// Sends streams of snapshots with seeded faults through assembler and store, on several threads,
// beside a reader, and judges every outcome: an error of a known type, or the exact bytes.
//
// One seed is one stream: a good snapshot, then two more with the faults of
// FaultPlan::FromSeed(seed). What a seed does depends on nothing else, so a failure replays from it
// alone.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "common/context/snapshot_assembler.h"
#include "common/context/store_types.h"
#include "common/faults/fault_plan.h"

namespace automot::test_support {

struct CampaignOptions {
  uint64_t first_seed = 0;
  uint64_t streams = 1;
  int threads = 2;
  // Every so many streams one of snapshots whose tensors have several chunks each.
  uint64_t large_every = 512;
  // False: a receiver that believes what it gets. The positive control.
  bool verify = true;
};

struct CampaignFailure {
  uint64_t seed = 0;
  std::string what;
  friend bool operator==(const CampaignFailure&, const CampaignFailure&) = default;
};

struct CampaignReport {
  static constexpr std::size_t kMostRefusals = 32;  // kinds
  uint64_t streams = 0;
  uint64_t faults = 0;       // injected
  uint64_t committed = 0;    // snapshots that the store took
  uint64_t interrupted = 0;  // streams that ended inside a snapshot: the link's end is the error
  uint64_t reads = 0;        // by the reader beside the publishers
  std::array<uint64_t, faults::kFaultKindCount> injected{};   // by FaultKind
  std::array<uint64_t, kMostRefusals> refused{};              // by AssemblyRefusal
  std::array<uint64_t, context::kRejectionCount> rejected{};  // by the store's Rejection
  std::vector<CampaignFailure> failures;                      // the first few, lowest seed first

  void Add(const CampaignReport& other);
  // Counts by kind and by type of refusal, one line each.
  std::string ToString() const;
};

CampaignReport RunCampaign(const CampaignOptions& options);

// Seeds for one run: AUTOMOT_FAULT_SEED names a single one to replay; else `streams` from 0 on.
CampaignOptions SeedsToRun(uint64_t streams);
// The command that runs this seed alone.
std::string ReplayCommand(uint64_t seed);

}  // namespace automot::test_support
