#include "tools/synthetic_server/synthetic_server_flags.h"

#include <optional>

#include "common/status/status_macros.h"
#include "tools/synthetic/synthetic_context.h"

namespace automot::synthetic {
namespace {

constexpr double kLongestMs = 60000.0;

// What the flags say in other units than the options have.
struct Durations {
  double expert_ms = 0.0;
  std::optional<double> further_ms;
  double reasoning_ms = 100.0;
  std::size_t context_kib = 64;
};

void AddExpertFlags(CLI::App& app, SyntheticExpertOptions& expert, Durations& durations) {
  app.add_option("--expert-ms", durations.expert_ms,
                 "How long a tick of the action expert takes, milliseconds; 0: a null model")
      ->check(CLI::Range(0.0, kLongestMs))
      ->capture_default_str();
  app.add_option("--expert-batch-ms", durations.further_ms,
                 "What each further vehicle of a batch adds, milliseconds; without it as much as "
                 "--expert-ms, so that batches save nothing")
      ->check(CLI::Range(0.0, kLongestMs));
  app.add_flag("--expert-spin", expert.spin,
               "Burn the processor for that long; without it the expert waits on a timer");
  app.add_option("--reasoning-ms", durations.reasoning_ms,
                 "How long a refresh of a context takes, milliseconds; sessions do not share it")
      ->check(CLI::Range(0.0, kLongestMs))
      ->capture_default_str();
  app.add_option("--context-kib", durations.context_kib, "Keys and values of a context, KiB")
      ->check(CLI::Range(16, 1 << 20))
      ->capture_default_str();
  app.add_option("--camera-width", expert.camera_width, "Pictures that are taken, pixels")
      ->check(CLI::Range(8, 4096))
      ->capture_default_str();
  app.add_option("--camera-height", expert.camera_height, "Pictures that are taken, pixels")
      ->check(CLI::Range(8, 4096))
      ->capture_default_str();
  app.add_flag("!--plain-pictures", expert.jpeg_artefacts,
               "Raw pictures reach the expert as they were sent, without JPEG's artefacts");
  app.add_option("--bev-channels", expert.bev_channels,
                 "Channels of the BEV features that are taken; 756 make 189 KiB")
      ->check(CLI::Range(1, 65536))
      ->capture_default_str();
}

}  // namespace

absl::StatusOr<SyntheticServerFlags> ParseSyntheticServerFlags(
    int argc, char** argv, const std::function<void(CLI::App&)>& add_more) {
  SyntheticServerFlags flags;
  Durations durations;
  CLI::App app{
      "The planning service WITHOUT A MODEL, for load and protocol tests and never for driving: "
      "answers prove what they were made from and say nothing about where to drive."};
  app.add_option("--address", flags.planning.server.address, "Where to listen; port 0 picks one")
      ->capture_default_str();
  AddExpertFlags(app, flags.expert, durations);
  planning::AddPlanningFlags(app, flags.planning);
  AddServerFlags(app, flags.shared);
  if (add_more != nullptr) add_more(app);
  AUTOMOT_RETURN_IF_ERROR(ParseFlags(app, argc, argv));
  planning::ApplyShared(ModelFlags(), flags.shared, flags.planning);
  flags.expert.duration = absl::Milliseconds(durations.expert_ms);
  if (durations.further_ms) flags.expert.further = absl::Milliseconds(*durations.further_ms);
  flags.producer.duration = absl::Milliseconds(durations.reasoning_ms);
  flags.producer.layout = SyntheticLayout(durations.context_kib << 10U);
  flags.producer.pool.byte_budget = flags.shared.snapshot_memory_bytes();
  flags.expert.context_bytes = flags.producer.layout.total_bytes();
  return flags;
}

}  // namespace automot::synthetic
