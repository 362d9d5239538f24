#include "common/runtime/termination.h"

#include <pthread.h>

#include <csignal>

namespace automot {
namespace {

sigset_t Signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  return set;
}

}  // namespace

TerminationSignals::TerminationSignals() {
  const sigset_t set = Signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  std::signal(SIGPIPE,
              SIG_IGN);  // a peer that goes away is an error code, not the end of the process
}

int TerminationSignals::Wait() {
  const sigset_t set = Signals();
  int signal = 0;
  sigwait(&set, &signal);
  std::signal(SIGTERM, SIG_DFL);
  std::signal(SIGINT, SIG_DFL);
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  return signal;
}

}  // namespace automot
