// SPDX-License-Identifier: Apache-2.0

// The command line of portoland.
#pragma once

#include <optional>
#include <string>

#include <portolan/broker_limits.hpp>
#include <portolan/log.hpp>

namespace portolan::daemon {

struct Arguments {
  bool system = false;  // /run/portolan.sock for everybody, else $XDG_RUNTIME_DIR/portolan.sock for this user
  std::string socket;   // in place of either
  std::string policy;
  std::string services;
  std::string run_as;    // a user
  bool confined = true;  // a system call filter
  LogLevel log_level = LogLevel::info;
  BrokerLimits limits;
};

/// Empty: it has said what was to be said (help, version, a mistake), and the program ends with `exit_code`.
[[nodiscard]] std::optional<Arguments> parse_arguments(int count, const char* const* words, int& exit_code);

}  // namespace portolan::daemon
