// Flags of the egodriver service; automot-planning and automot-serve take them.
#pragma once

#include <CLI/CLI.hpp>

#include "services/egodriver/egodriver_engine.h"

namespace automot::egodriver {

struct EgodriverFlags {
  bool enabled = true;
  EgodriverOptions engine;
};

// `flags` outlive the parse.
void AddEgodriverFlags(CLI::App& app, EgodriverFlags& flags);

}  // namespace automot::egodriver
