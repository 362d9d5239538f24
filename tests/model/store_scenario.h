// Small worlds around the real SnapshotStore for the explorer, with the promises as checks.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "common/context/snapshot_store.h"
#include "tests/model/explorer.h"

namespace automot::model {

struct StoreShape {
  int readers = 1;
  int reads = 1;  // of each reader
  int writers = 1;
  int versions = 2;  // of all writers together, published in turn
  // The readers ask for "at least version 1", which always enters the view, instead of the latest,
  // which does so only where a writer came in between.
  bool counted = false;
};

// Readers acquire, look and release; writers publish, which retires and frees.
Explorer::Maker PublishReadRetire(const StoreShape& shape);
// Readers of a session that is closed, and whose slot another session gets.
Explorer::Maker CloseAndReuse(int readers);
// A reader beside a drain.
Explorer::Maker ReadAndDrain();

}  // namespace automot::model
