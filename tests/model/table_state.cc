#include "tests/model/table_state.h"

#include <vector>

namespace automot::context {
namespace {

class Print {
 public:
  void Add(uint64_t value) {
    hash_ = (hash_ ^ value) * 0x9E3779B97F4A7C15ULL;
    hash_ ^= hash_ >> 29;
  }
  void Add(const std::vector<uint32_t>& values) {
    Add(values.size());
    for (const uint32_t value : values) Add(value);
  }
  uint64_t hash() const { return hash_; }

 private:
  uint64_t hash_ = 1;
};

}  // namespace

// Without counters of what happened, and without the marks of a scan, which the next one
// overwrites.
uint64_t VersionTableState::Fingerprint(const VersionTable& table) {
  Print print;
  for (const VersionTable::Cell& cell : table.cells_) {
    print.Add(cell.info.id.version << 20 | cell.info.id.session << 8 | cell.views);
  }
  const VersionTable::Writers& writers = table.writers_;
  const StoreOptions& options = table.options_;
  const uint32_t views = 2 + options.sessions + options.readers * options.pins_per_reader;
  for (uint32_t i = 0; i < views; ++i) {
    print.Add(table.views_[i].session.generation);
    print.Add(table.views_[i].cells);
  }
  for (const VersionTable::Session& session : writers.sessions) {
    print.Add(session.open ? session.handle.generation : 0);
    print.Add(session.view);
    print.Add(session.last.version);
    print.Add(session.epoch);
  }
  print.Add(writers.free_slots);
  print.Add(writers.free_views);
  print.Add(writers.free_cells);
  print.Add(writers.retired_views);
  print.Add(writers.unlisted);
  print.Add(writers.fold_next);
  return print.hash();
}

}  // namespace automot::context
