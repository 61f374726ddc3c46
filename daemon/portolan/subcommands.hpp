// SPDX-License-Identifier: Apache-2.0

// The subcommands: what each is told, and what it returns as the command's exit status. main.cpp alone knows
// of the command line.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "looking.hpp"

namespace command {

struct LsOptions {
  Filter filter;
  std::chrono::milliseconds interval{200};
  bool json = false;
};
int list_channels(const LsOptions& options);

struct StatOptions {
  std::string channel;
  std::chrono::milliseconds interval{200};
  bool json = false;
};
int show_channel(const StatOptions& options);

}  // namespace command
