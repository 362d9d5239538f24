#include "services/egodriver/egodriver_flags.h"

#include <string>

#include "absl/strings/str_cat.h"

namespace automot::egodriver {

void AddEgodriverFlags(CLI::App& app, EgodriverFlags& flags) {
  app.add_option_function<std::string>(
         "--egodriver", [&flags](const std::string& text) { flags.enabled = text == "on"; },
         "Serve egodriver.EgodriverService on the planning port: on or off [on]")
      ->check(CLI::IsMember({"on", "off"}));
  app.add_option("--egodriver-rollouts", flags.engine.rollout_limit,
                 "Rollouts at once; further start_session calls are held")
      ->check(CLI::Range(1, 65536))
      ->capture_default_str();
  app.add_option_function<double>(
         "--egodriver-admission-seconds",
         [&flags](double seconds) { flags.engine.admission_limit = absl::Seconds(seconds); },
         absl::StrCat("Wall time that start_session is held at most, seconds [",
                      absl::ToDoubleSeconds(flags.engine.admission_limit), "]"))
      ->check(CLI::Range(0.0, 86400.0));
  app.add_option("--egodriver-reasoning-rate-hz", flags.engine.reasoning_rate_hz,
                 "Context refreshes a second of simulated time")
      ->check(CLI::Range(0.01, 100.0))
      ->capture_default_str();
}

}  // namespace automot::egodriver
