// SPDX-License-Identifier: Apache-2.0

// portolan: looks at channels from outside, and talks through them by hand.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <functional>
#include <map>

#include "exit_code.hpp"
#include "screen.hpp"
#include "subcommands.hpp"

namespace {

using namespace command;

// What the chosen subcommand does, once the command line is read.
using Action = std::function<int()>;

void add_interval(CLI::App& app, std::chrono::milliseconds& interval) {
  app.add_option_function<long>(
         "--interval", [&interval](long value) { interval = std::chrono::milliseconds(value); },
         "between the two looks that give the rates, in ms (200); 0: one look, no rates")
      ->check(CLI::Range(0, 60'000));
}

void add_ls(CLI::App& all, Action& action) {
  auto& options = *new LsOptions;  // lives as long as the command line's callbacks: until the end
  CLI::App& app = *all.add_subcommand("ls", "lists the channels of this user, or all of them for root");
  app.add_option("--label", options.filter.label, "only channels with this label; a glob");
  app.add_option("--pid", options.filter.pid, "only channels of which this process has descriptors");
  app.add_flag("--unread", options.filter.unread, "only channels with unread messages");
  app.add_flag("--waiting", options.filter.waiting, "only channels with an end that waits");
  app.add_flag("--in-transit", options.filter.in_transit, "only channels with an end in transit");
  app.add_flag("--json", options.json, "an array of objects");
  add_interval(app, options.interval);
  app.callback([&] { action = [&] { return list_channels(options); }; });
}

void add_stat(CLI::App& all, Action& action) {
  auto& options = *new StatOptions;
  CLI::App& app = *all.add_subcommand("stat", "shows all counters of a channel");
  app.add_option("CHANNEL", options.channel, "the beginning of its id, or its label")->required();
  app.add_flag("--json", options.json, "one object, as those of ls");
  add_interval(app, options.interval);
  app.callback([&] { action = [&] { return show_channel(options); }; });
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "Looks at Portolan's channels from outside, and talks through them by hand.\n"
      "Exit status: 0 done, 1 nothing matches or the other side ended first, 2 wrong usage or refused.");
  app.require_subcommand(1);
  app.set_version_flag("--version", "portolan " PORTOLAN_VERSION);
  Colour colour = Colour::automatic;
  const std::map<std::string, Colour> colours{
      {"auto", Colour::automatic}, {"always", Colour::always}, {"never", Colour::never}};
  app.add_option("--color", colour, "auto: on a terminal, unless NO_COLOR is set; always; never")
      ->transform(CLI::CheckedTransformer(colours));
  Action action;
  add_ls(app, action);
  add_stat(app, action);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kFound : kFailed;
  }
  use_colour(colour);
  try {
    return action();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "portolan: %s\n", error.what());
    return kFailed;
  }
}
