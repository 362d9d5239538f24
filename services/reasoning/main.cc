// automot-reasoning: the reasoning service as a process of its own.
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>

#include "common/runtime/announce.h"
#include "common/runtime/termination.h"
#include "services/reasoning/reasoning_flags.h"

namespace {

using automot::reasoning::ReasoningFlags;

int Fail(int exit_code, const absl::Status& status) {
  std::fprintf(stderr, "automot-reasoning: %s\n", std::string(status.message()).c_str());
  return exit_code;
}

int Run(const ReasoningFlags& flags, automot::TerminationSignals& signals) {
  auto factory = automot::reasoning::TorchExpertFactory(flags.expert);
  if (!factory.ok()) return Fail(2, factory.status());
  const automot::MonotonicClock clock;
  automot::reasoning::ReasoningEngine engine(flags.engine, *std::move(factory), &clock);
  auto server = automot::reasoning::ReasoningServer::Start(flags.server, &engine);
  if (!server.ok()) return Fail(1, server.status());
  automot::AnnounceListening({{"reasoning", (*server)->address()}});
  // A process whose checkpoint cannot be loaded is of no use: whoever started it should know.
  std::atomic<int> exit_code{0};
  engine.NotifyWhenReady([&exit_code](const absl::Status& status) {
    if (status.ok()) return;
    exit_code = Fail(1, status);
    kill(getpid(), SIGTERM);
  });
  signals.Wait();
  (*server)->Drain();
  return exit_code;
}

}  // namespace

int main(int argc, char** argv) {
  automot::TerminationSignals signals;
  const auto flags = automot::reasoning::ParseReasoningFlags(argc, argv);
  if (!flags.ok()) return Fail(2, flags.status());
  return Run(*flags, signals);
}
