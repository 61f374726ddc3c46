// SPDX-License-Identifier: Apache-2.0

// portolan: looks at channels from outside, and talks through them by hand.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "exit_code.hpp"
#include "screen.hpp"
#include "subcommands.hpp"

namespace {

using namespace command;

// What the chosen subcommand does, once the command line is read.
using Action = std::function<int()>;

// CLI11 would print an enumeration's values as letters.
template <class Enum>
void add_choice(CLI::App& app, const char* name, Enum& value, std::map<std::string, Enum> choices,
                const char* what) {
  std::vector<std::string> words;
  for (const auto& [word, choice] : choices) words.push_back(word);
  app.add_option_function<std::string>(
         name, [&value, choices = std::move(choices)](const std::string& word) { value = choices.at(word); },
         what)
      ->check(CLI::IsMember(std::move(words)));
}

void add_interval(CLI::App& app, std::chrono::milliseconds& interval) {
  app.add_option_function<long>(
         "--interval", [&interval](long value) { interval = std::chrono::milliseconds(value); },
         "between the two looks that give the rates, in ms (200); 0: one look, no rates")
      ->check(CLI::Range(0, 60'000));
}

void add_core(CLI::App& app, std::string& core) {
  app.add_option("--core", core, "look at what this core dump has of a process's channels")
      ->check(CLI::ExistingFile);
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
  add_core(app, options.filter.core);
  add_interval(app, options.interval);
  app.callback([&] { action = [&] { return list_channels(options); }; });
}

void add_top(CLI::App& all, Action& action) {
  auto& options = *new TopOptions;
  CLI::App& app = *all.add_subcommand("top", "shows the channels live, the busiest first; h tells the keys");
  app.add_option("--label", options.filter.label, "only channels with this label; a glob");
  app.add_option("--pid", options.filter.pid, "only channels of which this process has descriptors");
  const std::map<std::string, SortBy> orders{{"rate", SortBy::rate},
                                             {"unread", SortBy::unread},
                                             {"oldest", SortBy::oldest},
                                             {"memory", SortBy::memory},
                                             {"label", SortBy::label}};
  add_choice(app, "--sort", options.by, orders, "rate (the default), unread, oldest, memory or label");
  app.add_option_function<long>(
         "--interval", [&options](long value) { options.interval = std::chrono::milliseconds(value); },
         "between two looks, in ms (1000)")
      ->check(CLI::Range(10, 60'000));
  app.add_option("-n,--looks", options.looks,
                 "print so many looks, one below the other, and end; 1 without a terminal");
  app.callback([&] { action = [&] { return show_top(options); }; });
}

void add_names(CLI::App& all, Action& action) {
  auto& options = *new NamesOptions;
  CLI::App& app =
      *all.add_subcommand("names", "lists the names that portoland knows, and those that are waited for");
  app.add_option("PATTERN", options.pattern, "only names that match; * stands for any letters");
  app.add_flag("--json", options.json, "an array of objects");
  app.callback([&] { action = [&] { return show_names(options); }; });
}

void add_bench(CLI::App& all, Action& action) {
  auto& options = *new BenchOptions;
  CLI::App& app =
      *all.add_subcommand("bench", "measures what messages cost here, between two processes; a few seconds");
  app.add_option("--seconds", options.seconds, "of each measurement")
      ->check(CLI::Range(0.01, 60.0))
      ->capture_default_str();
  app.add_flag("--json", options.json, "one object");
  app.callback([&] { action = [&] { return measure(options); }; });
  all.add_subcommand("bench-partner", "")->group("")->callback([&] { action = answer_measurement; });
}

void add_graph(CLI::App& all, Action& action) {
  auto& options = *new GraphOptions;
  CLI::App& app = *all.add_subcommand(
      "graph", "draws processes and channels, in Graphviz's language or as it draws them");
  app.add_option("--format", options.format, "dot (the default), svg or png; the last two need Graphviz")
      ->check(CLI::IsMember({"dot", "svg", "png"}));
  app.add_option("-o,--output", options.output, "a file in place of stdout; its name tells the format, too");
  app.add_flag("--watch", options.watch, "once a second again, until interrupted");
  app.add_option("--label", options.filter.label, "only channels with this label; a glob");
  app.add_option("--pid", options.filter.pid, "only channels of which this process has descriptors");
  add_interval(app, options.interval);
  app.callback([&] { action = [&] { return draw_graph(options); }; });
}

void add_stat(CLI::App& all, Action& action) {
  auto& options = *new StatOptions;
  CLI::App& app = *all.add_subcommand("stat", "shows all counters of a channel");
  app.add_option("CHANNEL", options.channel, "the beginning of its id, or its label")->required();
  app.add_flag("--json", options.json, "one object, as those of ls");
  add_core(app, options.core);
  add_interval(app, options.interval);
  app.callback([&] { action = [&] { return show_channel(options); }; });
}

void add_tail(CLI::App& all, Action& action, const char* name, const char* what,
              const TailOptions& defaults) {
  auto& options = *new TailOptions(defaults);
  CLI::App& app = *all.add_subcommand(name, what);
  app.add_option("CHANNEL", options.channel, "the beginning of its id, or its label")->required();
  app.add_option("--from", options.from, "only what this end has posted")->check(CLI::IsMember({"A", "B"}));
  app.add_option("-n,--messages", options.most_messages, "at most so many of each direction, the last ones")
      ->capture_default_str();
  app.add_option("--bytes", options.most_bytes, "at most so many bytes of each message")
      ->capture_default_str();
  app.add_flag("-f,--follow", options.follow, "go on with those that come, until interrupted");
  app.add_flag("--json", options.json, "an object a line");
  add_core(app, options.core);
  app.callback([&] { action = [&] { return show_messages(options); }; });
}

void add_doctor(CLI::App& all, Action& action) {
  auto& options = *new DoctorOptions;
  CLI::App& app = *all.add_subcommand(
      "doctor",
      "says what of this machine or container Portolan can use, what the rest costs and how to mend it");
  app.add_flag("--json", options.json, "one object");
  app.callback([&] { action = [&] { return examine_machine(options); }; });
}

void add_timeout(CLI::App& app, std::chrono::milliseconds& timeout, const char* what) {
  app.add_option_function<double>(
         "--timeout",
         [&timeout](double seconds) {
           timeout =
               std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::duration<double>(seconds));
         },
         what)
      ->check(CLI::Range(0.0, 1e6));
}

constexpr const char* kAddress = "unix:PATH, or a name that portoland knows";

void add_listen(CLI::App& all, Action& action) {
  auto& options = *new ListenAtOptions;
  CLI::App& app = *all.add_subcommand("listen",
                                      "serves clients one after another until interrupted: each message is a "
                                      "line of stdout, each line of stdin is "
                                      "posted to the present client; the end of stdin ends only the sending");
  app.add_option("ADDRESS", options.address, kAddress)->required();
  app.add_flag("-v,--verbose", options.verbose, "say on stderr who comes and goes");
  app.callback([&] { action = [&] { return listen_at(options); }; });
}

void add_connect(CLI::App& all, Action& action) {
  auto& options = *new ConnectToOptions;
  CLI::App& app = *all.add_subcommand("connect",
                                      "posts each line of stdin and prints each message; exits 0 when stdin "
                                      "has ended and the other side has read "
                                      "all, 1 if the other side ended first");
  app.add_option("ADDRESS", options.address, kAddress)->required();
  add_timeout(app, options.timeout, "seconds to wait for somebody who listens there (30)");
  app.callback([&] { action = [&] { return connect_to(options); }; });
}

void add_send(CLI::App& all, Action& action, const char* name, const char* what, bool wants_answer) {
  auto& options = *new SendToOptions;
  options.wants_answer = wants_answer;
  CLI::App& app = *all.add_subcommand(name, what);
  app.add_option("ADDRESS", options.address, kAddress)->required();
  app.add_option("TEXT", options.messages, wants_answer ? "the message" : "each is a message")
      ->required()
      ->expected(wants_answer ? 1 : -1);  // -1: one or more
  add_timeout(app, options.timeout, "seconds to wait, for a listener and again for the rest (30)");
  app.callback([&] { action = [&] { return send_to(options); }; });
}

void add_run(CLI::App& all, Action& action) {
  auto& options = *new RunOptions;
  CLI::App& app = *all.add_subcommand("run",
                                      "starts a program as a worker: lines of stdin are posted to its "
                                      "parent_port(), what it posts is printed; exits "
                                      "as the program does");
  app.add_option("COMMAND", options.command, "the program and its arguments, behind --")->required();
  app.add_flag("--close", options.close_after_input, "close the port once stdin has ended and all was read");
  app.callback([&] { action = [&] { return run_worker(options); }; });
}

// Help and the version are errors to CLI11, too.
int say_usage(const CLI::App& app, const CLI::ParseError& error) {
  const auto chosen = app.get_subcommands();
  const auto words = app.remaining(true);
  const auto failed = [&error](CLI::ExitCodes why) { return error.get_exit_code() == static_cast<int>(why); };
  if (chosen.empty() && !words.empty() && failed(CLI::ExitCodes::RequiredError)) {
    std::fprintf(stderr, "portolan: there is no subcommand %s\nRun with --help for more information.\n",
                 words.front().c_str());
    return kFailed;
  }
  const bool found = app.exit(error) == 0;
  if (!found && !chosen.empty() && chosen.front()->get_name() == "run" && failed(CLI::ExitCodes::ExtrasError))
    std::fprintf(stderr, "A program with options of its own stands behind --: portolan run -- COMMAND...\n");
  return found ? kFound : kFailed;
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
  add_choice(app, "--color", colour, colours, "auto: on a terminal, unless NO_COLOR is set; always; never");
  app.fallthrough();  // --color may stand behind the subcommand
  Action action;
  add_ls(app, action);
  add_top(app, action);
  add_stat(app, action);
  add_graph(app, action);
  add_names(app, action);
  add_tail(app, action, "tail",
           "shows the last messages of a channel, read ones as well until they are overwritten", {});
  TailOptions everything;
  everything.most_messages = 1'000'000;
  everything.most_bytes = 1 << 20;
  add_tail(app, action, "dump", "shows all messages that a channel's memory still has, in full", everything);
  add_doctor(app, action);
  add_listen(app, action);
  add_connect(app, action);
  add_send(app, action, "send", "posts messages and exits once they were read", false);
  add_send(app, action, "call", "posts a message and prints the first answer", true);
  add_run(app, action);
  add_bench(app, action);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return say_usage(app, error);
  }
  use_colour(colour);
  try {
    return action();
  } catch (const NothingFound& error) {
    std::fprintf(stderr, "portolan: %s\n", error.what());
    return kNothing;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "portolan: %s\n", error.what());
    return kFailed;
  }
}
