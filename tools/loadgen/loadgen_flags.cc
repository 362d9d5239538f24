#include "tools/loadgen/loadgen_flags.h"

#include <CLI/CLI.hpp>
#include <map>

#include "common/runtime/program_flags.h"
#include "common/status/status_macros.h"

namespace automot::loadgen {
namespace {

namespace v1 = automot::v1;

constexpr double kLongestSeconds = 86400.0;

// As the command line has them.
struct Texts {
  std::vector<std::string> payloads = {"bev"};
  std::string ramp, chaos, require, mode = "unary", time_mode = "realtime";
  double warm_up_s = 2.0, seconds = 10.0, deadline_ms = 100.0, wait_ready_s = 60.0;
  double reasoning_rate_hz = 2.0;
};

void AddLoadFlags(CLI::App& app, LoadgenFlags& flags, Texts& texts) {
  LoadOptions& load = flags.load;
  app.add_option("--vehicles", load.vehicles, "Vehicles at once, each with a connection of its own")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  app.add_option("--rates-hz", load.rates_hz,
                 "Plans per second; with commas, the vehicles' in turn")
      ->delimiter(',')
      ->check(CLI::Range(0.01, 1000.0))
      ->capture_default_str();
  app.add_option("--reasoning-rate-hz", texts.reasoning_rate_hz, "Contexts per second and vehicle")
      ->check(CLI::Range(0.01, 100.0))
      ->capture_default_str();
  app.add_option("--payload", texts.payloads,
                 "What a vehicle sends: bev, jpeg, raw or episode; with commas, in turn")
      ->delimiter(',')
      ->check(CLI::IsMember({"bev", "jpeg", "raw", "episode"}))
      ->capture_default_str();
  app.add_option("--bev-channels", load.payload.bev_channels,
                 "Channels of the BEV features, as the checkpoint has; 756 make 189 KiB")
      ->check(CLI::Range(1, 65536))
      ->capture_default_str();
  app.add_option("--episode", load.payload.episode_folder,
                 "Folder of the recorded episode that --payload episode sends");
  app.add_option("--jitter", load.jitter, "Part of a period by which starts are spread")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  app.add_option("--mode", texts.mode, "unary: Plan; stream: StreamPlans")
      ->check(CLI::IsMember({"unary", "stream"}))
      ->capture_default_str();
  app.add_option("--time-mode", texts.time_mode, "realtime or stepped")
      ->check(CLI::IsMember({"realtime", "stepped"}))
      ->capture_default_str();
  app.add_option("--deadline-ms", texts.deadline_ms,
                 "Of a tick from its intended start: later is late, and is not sent any more")
      ->check(CLI::Range(0.1, 600000.0))
      ->capture_default_str();
}

void AddRunFlags(CLI::App& app, LoadgenFlags& flags, Texts& texts) {
  app.add_option("--warm-up-seconds", texts.warm_up_s, "Load that is not measured, at first")
      ->check(CLI::Range(0.0, kLongestSeconds))
      ->capture_default_str();
  app.add_option("--seconds", texts.seconds, "How long to measure")
      ->check(CLI::Range(0.01, kLongestSeconds))
      ->capture_default_str();
  app.add_option("--requests", flags.load.requests,
                 "Ends after that many ticks of all vehicles; 0: by time alone")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 40))
      ->capture_default_str();
  app.add_option("--ramp", texts.ramp,
                 "FROM:TO:SECONDS: the rates times FROM at first, times TO after SECONDS");
  app.add_option("--sweep", flags.sweep,
                 "Loads, as multiples of the rates, that are run one after the other")
      ->delimiter(',')
      ->check(CLI::Range(0.001, 1000.0));
  app.add_option("--seed", flags.load.seed, "Of starts, jitter and payloads")
      ->capture_default_str();
  app.add_option("--chaos", texts.chaos,
                 "What to do to the server: disconnect, slow_reader, clock_skew, cancel, reset, "
                 "reopen; with commas");
  app.add_option("--chaos-rate", flags.load.chaos.rate, "Part of the ticks with such an act")
      ->check(CLI::Range(0.0, 0.5))
      ->capture_default_str();
  app.add_option("--chaos-seed", flags.load.chaos.seed, "Draws the acts")->capture_default_str();
  app.add_option("--require", texts.require,
                 "Bounds that decide the exit status, such as 'p99_ms<=20,late_fraction<=0.001'");
  app.add_option("--json", flags.json_file, "Writes the report there; - is standard output");
}

void AddTargetFlags(CLI::App& app, LoadgenFlags& flags, Texts& texts) {
  app.add_option("--address", flags.load.target.addresses,
                 "Planning services, comma-separated; each session has one by rendezvous hashing")
      ->delimiter(',')
      ->default_str("127.0.0.1:50051");
  app.add_option("--name-prefix", flags.load.name_prefix,
                 "Of the sessions' names; empty: one that no other load has");
  app.add_option("--wait-ready-seconds", texts.wait_ready_s, "For the services to be ready")
      ->check(CLI::Range(0.0, 3600.0))
      ->capture_default_str();
  app.add_option("--tls-ca", flags.tls.ca_file, "PEM CA of the services; empty: plain text");
  app.add_option("--tls-cert", flags.tls.certificate_file, "PEM certificate shown to them");
  app.add_option("--tls-key", flags.tls.key_file, "Its PEM private key");
}

absl::Status Apply(const Texts& texts, LoadgenFlags& flags) {
  static const std::map<std::string, PayloadKind> kKinds = {{"bev", PayloadKind::kBev},
                                                            {"jpeg", PayloadKind::kJpeg},
                                                            {"raw", PayloadKind::kRaw},
                                                            {"episode", PayloadKind::kEpisode}};
  LoadOptions& load = flags.load;
  load.payloads.clear();
  for (const std::string& name : texts.payloads) load.payloads.push_back(kKinds.at(name));
  if (!texts.ramp.empty()) {
    AUTOMOT_ASSIGN_OR_RETURN(load.ramp, ParseRamp(texts.ramp));
  }
  AUTOMOT_ASSIGN_OR_RETURN(load.chaos.acts, ParseChaos(texts.chaos));
  AUTOMOT_ASSIGN_OR_RETURN(flags.bounds, ParseBounds(texts.require));
  load.mode = texts.mode == "stream" ? Mode::kStream : Mode::kUnary;
  load.session.set_time_mode(texts.time_mode == "stepped" ? v1::TIME_MODE_STEPPED
                                                          : v1::TIME_MODE_REALTIME);
  load.session.set_reasoning_rate_hz(texts.reasoning_rate_hz);
  load.session.set_on_missing_modality(v1::ON_MISSING_MODALITY_FLAG);
  load.warm_up = absl::Seconds(texts.warm_up_s);
  load.measured = absl::Seconds(texts.seconds);
  load.deadline = absl::Milliseconds(texts.deadline_ms);
  flags.wait_ready = absl::Seconds(texts.wait_ready_s);
  if (load.target.addresses.empty()) load.target.addresses = {"127.0.0.1:50051"};
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<LoadgenFlags> ParseLoadgenFlags(int argc, char** argv) {
  LoadgenFlags flags;
  Texts texts;
  CLI::App app{
      "Loads planning services with vehicles that do not exist, open-loop: ticks have intended "
      "starts that no answer moves. Counts wrong answers beside late and refused ones. Exit "
      "status: 0; 1 where an answer was wrong or a bound of --require is broken."};
  AddTargetFlags(app, flags, texts);
  AddLoadFlags(app, flags, texts);
  AddRunFlags(app, flags, texts);
  AUTOMOT_RETURN_IF_ERROR(ParseFlags(app, argc, argv));
  AUTOMOT_RETURN_IF_ERROR(Apply(texts, flags));
  return flags;
}

}  // namespace automot::loadgen
