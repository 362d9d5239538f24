// Waiting for SIGTERM or SIGINT without a signal handler.
#pragma once

namespace automot {

// Blocks both signals in the calling thread and in every thread started after. Construct first in
// main.
class TerminationSignals {
 public:
  TerminationSignals();

  // Returns the signal when one arrives. A second signal during the drain ends the process at once.
  int Wait();
};

}  // namespace automot
