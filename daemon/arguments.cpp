// SPDX-License-Identifier: Apache-2.0

#include "arguments.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <string>

namespace portolan::daemon {

std::optional<Arguments> parse_arguments(int count, const char* const* words, int& exit_code) {
  Arguments arguments;
  CLI::App app("portoland: names for Portolan's ports, and custody of them", "portoland");
  app.set_version_flag("--version", "portoland " PORTOLAN_VERSION, "print the version");
  app.set_help_flag("--help", "print this help");
  app.add_flag("--system", arguments.system, "serve all users at /run/portolan.sock");
  bool user = false;
  app.add_flag("--user", user, "serve this user at $XDG_RUNTIME_DIR/portolan.sock (the default)");
  app.add_option("--socket", arguments.socket, "listen at this path instead");
  app.add_option("--policy", arguments.policy, "who may own and connect to which names");
  app.add_option("--services", arguments.services, "directory of NAME.service files, started on demand");
  app.add_option("--run-as", arguments.run_as, "become this user once the socket is there");
  const auto unconfine = [&arguments] { arguments.confined = false; };
  app.add_flag_callback("--no-filter", unconfine, "run without the system call filter");
  std::string level(to_string(arguments.log_level));
  app.add_option("--log-level", level, "error, warning, info (the default) or debug")
      ->check(CLI::IsMember({"error", "warning", "info", "debug"}))
      ->type_name("LEVEL");
  for (const BrokerLimit& limit : kBrokerLimits) {
    app.add_option(fmt::format("--{}", limit.option), arguments.limits.*limit.value,
                   fmt::format("{} (default {})", limit.meaning, BrokerLimits{}.*limit.value))
        ->type_name("N");
  }
  try {
    app.parse(count, words);
    if (arguments.system && user) throw CLI::ExcludesError("--system", "--user");
  } catch (const CLI::ParseError& error) {
    exit_code = app.exit(error);
    return std::nullopt;
  }
  for (const LogLevel each : {LogLevel::error, LogLevel::warning, LogLevel::info, LogLevel::debug})
    if (level == to_string(each)) arguments.log_level = each;
  return arguments;
}

}  // namespace portolan::daemon
