// Storage of the tensors of one planning step, kept from step to step, so that after warm-up a step
// asks the system for none (docs/decisions/0014-step-storage.md).
#pragma once

#include <cstdint>

#include "absl/status/status.h"

namespace automot::model {

class StepPool;

struct StepStorageStats {
  uint64_t tensors = 0;     // storages handed out inside scopes
  uint64_t new_blocks = 0;  // of them, those for which no kept block fitted
  uint64_t new_bytes = 0;   // bytes of those blocks; constant once warm
  uint64_t outside_blocks =
      0;  // new_blocks that the system's allocator served: the region was full
};

// Keeps blocks for one thread at a time. While a Scope lives, every CPU tensor that its thread
// makes takes its storage from here, oneDNN's scratch memory included; other threads and other
// times see the default allocator. A tensor may outlive scope and StepStorage and may be freed on
// any thread: its block then comes back. Blocks are at least 64-byte aligned and are never given
// back to the system; the next StepStorage takes them over.
class StepStorage {
 public:
  StepStorage();
  ~StepStorage();
  StepStorage(const StepStorage&) = delete;
  StepStorage& operator=(const StepStorage&) = delete;

  // Puts the routing allocator in front of LibTorch's default one, once per process.
  // FAILED_PRECONDITION where it cannot (another allocator is installed, or no address space);
  // scopes then change nothing. Called by the constructor; any thread.
  static absl::Status Install();

  // Scopes of one StepStorage do not overlap in time; scopes of one thread nest.
  class Scope {
   public:
    explicit Scope(StepStorage& storage);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    StepPool* const outer_;
  };

  // Between scopes only.
  StepStorageStats stats() const;

 private:
  StepPool* const pool_;  // leased, never null, never freed
};

}  // namespace automot::model
