// What the process itself uses: processor, memory, files, threads. Read from /proc at each scrape.
#pragma once

#include "common/metrics/registry.h"

namespace automot::metrics {

// Adds process_* and the build's version. Once per registry.
void AddProcessMetrics(Registry* registry);

}  // namespace automot::metrics
